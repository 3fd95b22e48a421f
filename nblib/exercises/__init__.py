"""Checks of the chapters' exercises: each tries an answer on cases whose result is known, and says what is wrong."""
from nblib.exercises.verdict import Verdict, judge, self_check

__all__ = ["judge", "self_check", "Verdict"]
