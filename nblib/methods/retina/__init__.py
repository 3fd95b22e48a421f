"""The retina (P3, figure 8): a network fitted to what cells answer, and what its parts are to the retina's.

A map of the room, in the order in which a page uses it:

- `simulating`: `simulate`, a simulated retina and what it answered to a movie.
- `fitting`: `fit_retina` fits a network to a recording, `kept_retina` once for all pages; `predicted_rates`, and
  `correlation` with what was measured.
- `features`: `population_surprisal`, the target; `signed_features`, sixteen numbers a frame from the contributions.
- `matching`: `match_interneurons`, which channel is which interneuron, where these are known.
- `clusters`: `drive_profiles` of cells, `cluster_cells` by them, `cluster_agreement` of two
  clusterings, and `kept_share` of the cells.
- `fields`: `instantaneous_fields`, what a cell looks for at a moment, `rank_one`, its space and time, `around_peak`;
  `triggered_average`, the classical field, and `find_places` of cells that nobody told.
- `combinations`: `mode_sets` that work at once, `spread_frames` to look at, `active_at_one_only`.

Contributions and modes have rooms of their own, `nblib.methods.contributions` and `nblib.methods.modes`.

Arguments that several functions share:

model
    a network in evaluation mode, windows (N, T, H, W) → rates (N, cells): `SimulatedRetina`, `RetinaCNN`, or another.
windows
    (N, T, H, W), finite, the latest frame last, of the model's type and on its device, as from `nblib.data.windows`.
chunk_size
    windows in one pass, 1 or more; None goes by their size. Results do not depend on it.

P3 is Melander et al. (2026); its authors' code for this figure is figures/figure_8_retina of the repository
baccuslab/CODEC_ICLR_2026.
"""
from nblib.methods.retina.clusters import Clusters, cluster_agreement, cluster_cells, drive_profiles, kept_share
from nblib.methods.retina.combinations import active_at_one_only, mode_sets, spread_frames
from nblib.methods.retina.features import population_surprisal, signed_features
from nblib.methods.retina.fields import (
    RankOne,
    around_peak,
    find_places,
    instantaneous_fields,
    rank_one,
    triggered_average,
)
from nblib.methods.retina.fitting import correlation, fit_retina, kept_retina, predicted_rates
from nblib.methods.retina.matching import TypeMatching, match_interneurons
from nblib.methods.retina.simulating import simulate

__all__ = [
    "active_at_one_only", "around_peak", "cluster_agreement", "cluster_cells", "Clusters", "correlation",
    "drive_profiles", "find_places", "fit_retina", "instantaneous_fields", "kept_retina", "kept_share",
    "match_interneurons", "mode_sets", "population_surprisal", "predicted_rates", "rank_one", "RankOne", "signed_features", "simulate",
    "spread_frames", "triggered_average", "TypeMatching",
]
