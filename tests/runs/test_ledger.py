"""The ledger's statistics and its computed status."""
import json
import math

import pytest

from nblib.runs import ledger

EFFECT = {"value": 0.1, "kind": "effect", "unit": "share"}
VALUE = {"value": 0.8, "kind": "value", "unit": "share"}


def entry(values, paper, **more):
    seeds = {str(seed): value for seed, value in enumerate(values)}
    return {"values": seeds, "paper": paper, "profile": "gpu", "setting": "other", "unit": "share"} | more


def test_the_interval_is_students():
    low, high = ledger.interval([1.0, 2.0, 3.0])
    assert math.isclose(low, 2 - 4.302652729911275 / math.sqrt(3)) and math.isclose(high, 4 - low)
    assert ledger.interval([1.0]) is None


@pytest.mark.parametrize("made, expected", [
    (entry([], EFFECT), "not run"),
    (entry([0.1], None), None),
    (entry([0.05, 0.06, 0.07], EFFECT), "same direction"),
    (entry([-0.05, 0.06, 0.17], EFFECT), "differs"),  # the interval holds zero
    (entry([-0.05, -0.06, -0.07], EFFECT), "differs"),
    (entry([-0.05, -0.06, -0.07], EFFECT | {"value": -0.2}), "same direction"),
    (entry([0.05], EFFECT), "differs"),  # one seed has no interval
    (entry([0.8, 0.8, 0.8], VALUE), "differs"),  # another setting cannot reproduce a value
    (entry([0.8, 0.8, 0.8], VALUE, setting="paper"), "reproduced"),
    (entry([0.805], VALUE, setting="paper"), "reproduced"),  # within one percentage point
    (entry([0.7, 0.8, 0.9], VALUE, setting="paper"), "reproduced"),  # inside the interval
    (entry([0.70, 0.71, 0.72], VALUE, setting="paper"), "differs"),
    (entry([0.8, 0.8], VALUE, setting="paper", profile="default"), "differs"),  # a default run never reproduces
])
def test_the_status_is_computed(made, expected):
    assert ledger.status(made) == expected


def test_a_status_or_mean_that_was_typed_is_found(tmp_path):
    honest = entry([0.05, 0.06, 0.07], EFFECT)
    honest |= {"mean": 0.06, "status": ledger.status(honest)}
    path = tmp_path / "chapter.json"
    path.write_text(json.dumps({"gpu/a": honest}))
    assert ledger.check(path) == []
    path.write_text(json.dumps({"gpu/a": honest | {"status": "reproduced"}, "gpu/b": honest | {"mean": 0.08}}))
    wrong = ledger.check(path)
    assert len(wrong) == 2 and "reproduced" in wrong[0] and "0.08" in wrong[1]
