"""What images come from: the generated shapes, the digits, a few photographs, and real data sets.

A map of the room:

- `loading`: `load`, one call for every set; it makes a `request`, the checked arguments, and passes it to one of them.
- `images`: `Images`, the face that all sets have, whether they lie in memory or are read as they are sliced.
- `drawn`: the generated `shapes`, and the outlines of which they are made (`geometry`).
- `files`: sets that are read: the `photographs` that packages carry, the `real` ones, each as a list of `folders` of
  pictures; `sources` says where they come from, fetches them (`download`), verifies them, and makes keys of their
  `contents`.
- `retina`: movies to show to a retina (`stimuli`: `stimulus`, `windows`), and what cells answered (`recordings`).
"""
from nblib.data.drawn.shapes import BACKGROUND, BODY, DISTRACTOR, MARKING, PARTS, SHORTCUT, tag_codes
from nblib.data.files.photographs import PHOTOGRAPHS, Photograph
from nblib.data.files.sources import count_images, describe, fetch, files_key, verify
from nblib.data.images import Images, Rows
from nblib.data.loading import load
from nblib.data.request import data_root
from nblib.data.retina.recordings import Recording, load_recording
from nblib.data.retina.stimuli import STIMULI, stimulus, windows

__all__ = [
    "BACKGROUND", "BODY", "count_images", "data_root", "describe", "DISTRACTOR", "fetch", "files_key", "Images", "load",
    "load_recording", "MARKING", "PARTS", "Photograph", "PHOTOGRAPHS", "Recording", "Rows", "SHORTCUT", "STIMULI",
    "stimulus", "tag_codes", "verify", "windows",
]
