"""Checks of the chapters' exercises: each tries an answer on cases whose result is known, and says what is wrong.

One file a lesson holds its checks: `saliency`, `pruning`, `concepts`, `neuron_paths`, `contributions`,
`contribution_modes`, `retina`, `neural_pathways`, `importance`, `comparison`. Each check calls `self_check` or `judge` of
`verdict`, which compares what came with what was expected, and says both.
"""
from nblib.exercises.verdict import Verdict, judge, self_check

__all__ = ["judge", "self_check", "Verdict"]
