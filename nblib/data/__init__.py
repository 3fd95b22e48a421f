"""What images come from: the generated shapes, the digits, and real data sets."""
from nblib.data.drawn.shapes import BACKGROUND, BODY, DISTRACTOR, MARKING, PARTS, SHORTCUT, tag_codes
from nblib.data.files.photographs import PHOTOGRAPHS, Photograph
from nblib.data.files.sources import describe, fetch, verify
from nblib.data.images import Images, Rows
from nblib.data.loading import load
from nblib.data.request import data_root

__all__ = [
    "BACKGROUND", "BODY", "data_root", "describe", "DISTRACTOR", "fetch", "Images", "load", "MARKING", "PARTS",
    "Photograph", "PHOTOGRAPHS", "Rows", "SHORTCUT", "tag_codes", "verify",
]
