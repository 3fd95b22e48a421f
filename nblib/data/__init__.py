"""What images come from: the generated shapes, the digits, and real data sets."""
from nblib.data.drawn.shapes import BACKGROUND, BODY, DISTRACTOR, MARKING, PARTS, SHORTCUT, tag_codes
from nblib.data.images import Images, Rows
from nblib.data.loading import load
from nblib.data.request import data_root

__all__ = [
    "BACKGROUND", "BODY", "data_root", "DISTRACTOR", "Images", "load", "MARKING", "PARTS", "Rows", "SHORTCUT",
    "tag_codes",
]
