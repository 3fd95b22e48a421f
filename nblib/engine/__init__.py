"""What methods and metrics share: checked input, rows that fit in memory, quadrature, networks cut at a layer.

A map of the room, in the order in which a method uses it:

- `inputs`: `check_inputs` refuses a model or images that cannot be explained, and is called once, first, by every
  public function; `baseline_for`, `options_of` and `seeded` check what else was given.
- `rows`: `chunks` cuts the steps × N rows of a computation into passes that have room in memory, as `rows_at_once`
  says; `logits_of` runs a pass; `explained` makes the scalar of a target; `weighted_gradient` is the loop over all
  passes that every gradient method calls.
- `quadrature`: the points and weights of an integral.
- `precision`: in which type totals are kept and given back, and weights without gradients.
- `layers`: a network cut in two at a layer, for methods that begin in the middle (concepts, modes).

A `Room` says how many values one pass takes. It was measured for each kind of computation: `PIXELS` for passes of whole
networks, `ACTIVATIONS` for the second half of one; others have their own.
"""
from nblib.engine.inputs import baseline_for, check_inputs, expect_finite, options_of, seeded
from nblib.engine.layers import (
    ACTIVATIONS,
    Head,
    cut_layers,
    logit_after,
    logits_after,
    nonnegative_output,
    pools_first,
    refuse_repeated,
    slope_if_affine,
)
from nblib.engine.precision import as_given, frozen, precise
from nblib.engine.quadrature import QUADRATURES, quadrature_rule
from nblib.engine.rows import (
    PIXELS,
    Room,
    chunks,
    explained,
    logits_of,
    predicted,
    rows_at_once,
    weighted_gradient,
)

__all__ = [
    "ACTIVATIONS", "as_given", "baseline_for", "check_inputs", "chunks", "cut_layers", "expect_finite", "explained",
    "frozen", "Head", "logit_after", "logits_after", "logits_of", "nonnegative_output", "options_of", "PIXELS",
    "pools_first", "precise", "predicted", "quadrature_rule", "QUADRATURES", "refuse_repeated", "Room",
    "rows_at_once", "seeded", "slope_if_affine", "weighted_gradient",
]
