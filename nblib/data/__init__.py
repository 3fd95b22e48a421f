"""What images come from: the generated shapes, the digits, and real data sets."""
from nblib.data.images import Images, Rows
from nblib.data.loading import load
from nblib.data.shapes import BACKGROUND, BODY, DISTRACTOR, MARKING, PARTS, SHORTCUT

__all__ = ["BACKGROUND", "BODY", "DISTRACTOR", "Images", "MARKING", "PARTS", "Rows", "SHORTCUT", "load"]
