"""All pairs by name; each entry builds what both sides need, such as a network and images, and returns the two."""
from collections.abc import Callable

from benchmarks import concepts, contributions, importance, neural_pathways, neuron_paths, road, saliency
from benchmarks.difference import Pair

PAIRS: dict[str, Callable[[], Pair]] = (
    saliency.PAIRS | road.PAIRS | concepts.PAIRS | neuron_paths.PAIRS | contributions.PAIRS
    | neural_pathways.PAIRS | importance.PAIRS
)
