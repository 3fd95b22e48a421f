"""What methods and metrics share: checked input, rows that fit in memory, quadrature, networks cut at a layer."""
from nblib.engine.inputs import baseline_for, check_inputs, expect_finite, options_of, seeded
from nblib.engine.layers import (
    ACTIVATIONS,
    Head,
    logit_after,
    nonnegative_output,
    pools_first,
    refuse_repeated,
    slope_if_affine,
)
from nblib.engine.precision import as_given, frozen, precise
from nblib.engine.quadrature import QUADRATURES, quadrature_rule
from nblib.engine.rows import (
    FEWEST_ROWS,
    PIXELS,
    PIXELS_AT_ONCE_ON_ACCELERATORS,
    Room,
    chunks,
    explained,
    logits_of,
    predicted,
    rows_at_once,
    weighted_gradient,
)

__all__ = [
    "ACTIVATIONS", "as_given", "baseline_for", "check_inputs", "chunks", "expect_finite", "explained", "FEWEST_ROWS",
    "frozen", "Head",
    "logit_after", "logits_of", "nonnegative_output", "options_of", "PIXELS",
    "PIXELS_AT_ONCE_ON_ACCELERATORS", "pools_first", "precise", "predicted",
    "quadrature_rule", "QUADRATURES", "refuse_repeated", "Room", "rows_at_once", "seeded", "slope_if_affine",
    "weighted_gradient",
]
