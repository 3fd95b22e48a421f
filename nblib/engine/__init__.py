"""What methods and metrics share: checked input, rows that fit in memory, quadrature, networks cut at a layer."""
from nblib.engine.inputs import baseline_for, check_inputs, options_of, seeded
from nblib.engine.layers import (
    Head,
    logit_after,
    nonnegative_output,
    pools_first,
    refuse_repeated,
    rows_at_once,
    slope_if_affine,
)
from nblib.engine.precision import as_given, frozen, precise
from nblib.engine.quadrature import QUADRATURES, quadrature_rule
from nblib.engine.rows import (
    FEWEST_ROWS,
    PIXELS_AT_ONCE_ON_ACCELERATORS,
    chunks,
    explained,
    logits_of,
    predicted,
    weighted_gradient,
)

__all__ = [
    "as_given", "baseline_for", "check_inputs", "chunks", "explained", "FEWEST_ROWS", "frozen", "Head",
    "logit_after", "logits_of", "nonnegative_output", "options_of", "PIXELS_AT_ONCE_ON_ACCELERATORS", "pools_first",
    "precise", "predicted", "quadrature_rule", "QUADRATURES", "refuse_repeated", "rows_at_once", "seeded",
    "slope_if_affine", "weighted_gradient",
]
