"""What methods and metrics share: checked input, rows that fit in memory, quadrature, networks cut at a layer.

A map of the room, in the order in which a method uses it:

- `inputs`: `check_inputs` refuses a model or images that cannot be explained, and is called once, first, by every
  public function; `baseline_for`, `options_of` and `seeded` check what else was given; `drawing_from` lets others'
  code draw from a seed.
- `trial`: the part of that check for which the network runs, once: are its rows independent of each other? `why_not`
  says why a method that was tried on it is left out.
- `parameters`: `refuse_reparametrised`, where weights themselves are asked for.
- `rows`: `chunks` cuts the steps × N rows of a computation into passes that have room in memory, as `rows_at_once`
  says; `logits_of` runs a pass; `explained` makes the scalar of a target, `slope_of` its gradient, `target_change` what
  there is to share out; `weighted_gradient` is the loop over all passes that every gradient method calls.
- `quadrature`: the points and weights of an integral.
- `precision`: in which type totals are kept and given back, arithmetic without autocast, and weights without gradients.
- `places`: which axis of a layer's output has its channels, for methods that look at its places.
- `sparsity`: Hoyer's index of a vector.
- `tangents`: forward mode, in which one pass tells how everything inside moves with the pixels.
- `layers`: `expect_layers`, for methods that read and replace several; a network cut in two at a layer, for methods
  that begin in the middle (concepts, modes, neural pathways).

A `Room` says how many values one pass takes. It was measured for each kind of computation: `PIXELS` for passes of whole
networks, `ACTIVATIONS` for the second half of one; others have their own.
"""
from nblib.engine.inputs import (
    baseline_for,
    check_inputs,
    drawing_from,
    expect_finite,
    expect_images,
    options_of,
    seeded,
)
from nblib.engine.layers import (
    ACTIVATIONS,
    Head,
    cut_layers,
    expect_layers,
    logit_after,
    logits_after,
    nonnegative_output,
    pools_first,
    refuse_repeated,
    slope_if_affine,
)
from nblib.engine.parameters import refuse_reparametrised
from nblib.engine.places import channel_axis, channel_axis_of
from nblib.engine.precision import as_given, exactly, frozen, precise
from nblib.engine.quadrature import QUADRATURES, quadrature_rule
from nblib.engine.rows import (
    PIXELS,
    Room,
    chunks,
    expect_logits,
    explained,
    logits_of,
    predicted,
    rows_at_once,
    slope_of,
    target_change,
    weighted_gradient,
)
from nblib.engine.sparsity import hoyer, magnitudes
from nblib.engine.tangents import forward_mode, unpacked
from nblib.engine.trial import first_logits, why_not

__all__ = [
    "ACTIVATIONS", "as_given", "baseline_for", "channel_axis", "channel_axis_of", "check_inputs", "chunks",
    "cut_layers", "drawing_from", "exactly", "expect_finite", "expect_images", "expect_layers", "expect_logits",
    "explained", "first_logits", "forward_mode", "frozen", "Head", "hoyer", "logit_after", "logits_after",
    "logits_of", "magnitudes", "nonnegative_output", "options_of", "PIXELS", "pools_first", "precise", "predicted",
    "quadrature_rule", "QUADRATURES", "refuse_reparametrised", "refuse_repeated", "Room", "rows_at_once", "seeded",
    "slope_if_affine", "slope_of", "target_change", "unpacked", "weighted_gradient",
    "why_not",
]
