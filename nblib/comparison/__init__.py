"""Several methods on one network, side by side; the only room that knows more than one room of methods.

A map of the room:

- `families`: `FAMILIES`, the methods of the book by family; `explainers` makes of each that applies to a network a
  function from images and classes to maps of pixels, and says why the others do not.
- `fitted`: those that look at other images first (concepts, modes) or go through chosen units (pathways, neuron paths).
- `patches`: `patch_maps`, P4's ten methods as the importance of patches; `where_patches_lie`, numbers about these.

What a map is asked, such as where it lies and with which other map it agrees, is in `nblib.metrics`.
"""
from nblib.comparison.families import FAMILIES, WORDS, Explainer, explainers, family_of
from nblib.comparison.patches import TABLE_1, patch_maps, where_patches_lie

__all__ = [
    "Explainer", "explainers", "FAMILIES", "family_of", "patch_maps", "TABLE_1", "where_patches_lie", "WORDS",
]
