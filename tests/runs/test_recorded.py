"""Recorded numbers as the pages show them, read from a small ledger."""
import json
import math

import pytest
import yaml

from nblib.runs import bookkeeping, ledger, parameters, recorded
from nblib.runs.ledger import Number

FACTS = {"key": "", "revision": 1, "dataset": "shapes", "copy": "100 images", "model": "net", "device": "CPU",
         "processor": "AVX2", "threads": 1, "versions": {}, "seconds": 1.5, "commit": "abc1234", "dirty": False,
         "networks": [], "notes": []}
UNITS = {"accuracy": "share", "gini": "share", "change": "difference", "points": "%"}
MEASURED = {
    "recorded": {
        "accuracy/a": [0.96, 0.98, 1.0], "accuracy/b": [0.5, 0.52, 0.54], "gini": [0.3, 0.4, 0.5],
        "change/a": [0.05, 0.06, 0.07], "change/b": [-0.1, 0.0, 0.1], "points": [-2.0, -2.5, -3.0],
        "tiny": [2e-4, 3e-4, 4e-4],
    },
    "cifar": {"change/a": [-0.05, -0.06, -0.07], "accuracy/a": [0.8, 0.81]},
    "gpu": {"accuracy/a": [0.9]},
}
CLAIM = {"finding": "first", "paper": "P2", "place": "Figure 1", "direction": "above", "threshold": 0,
         "unit": "difference"}
CLAIMS = {
    "data_sets": {"recorded": "shapes", "cifar": "CIFAR-10"},
    "findings": {"first": "A changes", "second": "Anything else"},
    "claims": [
        CLAIM | {"id": "a", "text": "A rises.", "number": "change/a"},
        CLAIM | {"id": "b", "text": "B rises.", "number": "change/b", "control": True},
        CLAIM | {"id": "a-over-b", "text": "A is over B.", "number": "accuracy/a", "minus": "accuracy/b",
                 "needs": "both"},
        CLAIM | {"id": "points", "text": "Points fall.", "number": "points", "direction": "below", "unit": "%"},
        CLAIM | {"id": "tiny", "text": "It rises a little.", "number": "tiny"},
        {"id": "eye", "finding": "second", "paper": "P2", "place": "Figure 2", "text": "It shows.", "needs": "judges"},
    ],
}
PAPER = {"paper": "P2", "where": "Figure 1, left", "reason": "none", "unit": "share"}
PUBLISHED = {
    "change/a": PAPER | {"what": "change", "value": 0.01, "kind": "effect"},
    "accuracy/a": PAPER | {"what": "accuracy", "value": 0.95, "kind": "value"},
    "gini": PAPER | {"what": "Gini index", "value": 0.41, "kind": "value"},
    "accuracy/b": PAPER | {"what": "other accuracy", "value": 0.9, "kind": "value"},
}


@pytest.fixture(autouse=True)
def book(tmp_path, monkeypatch):
    """A book of one lesson with three profiles; the values of accuracy/b and gini are in the paper's own setting."""
    monkeypatch.setattr(parameters, "BOOK", tmp_path)
    (tmp_path / "claims").mkdir()
    (tmp_path / "published").mkdir()
    (tmp_path / "claims/lesson.yaml").write_text(yaml.safe_dump(CLAIMS, sort_keys=False))
    (tmp_path / "published/lesson.json").write_text(json.dumps(PUBLISHED))
    for profile, measured in MEASURED.items():
        for seed in range(3):
            numbers = {name: Number(values[seed], UNITS.get(name.split("/")[0], ""), name)
                       for name, values in measured.items() if seed < len(values)}
            if numbers:
                named = {"profile": profile, "seed": seed, "parameters": {"seed": seed}}
                bookkeeping.write("lesson", numbers, FACTS | named | {"paper_setting": ["accuracy/b", "gini"]})
    return tmp_path


def test_statistics_are_over_seeds_and_in_the_scale_of_the_unit():
    assert recorded.series("lesson", "change/a") == {0: 0.05, 1: 0.06, 2: 0.07}
    assert recorded.mean("lesson", "change/a", "cifar") == pytest.approx(-0.06)
    assert recorded.interval("lesson", "change/a") == ledger.interval([0.05, 0.06, 0.07])
    low, high = recorded.interval("lesson", "accuracy/a")
    assert (low, high) == ledger.interval([0.96, 0.98, 1.0], unit="share") and high < 1
    assert recorded.over_seeds("lesson", "accuracy/a") == (recorded.mean("lesson", "accuracy/a"), low, high)
    places, means, lows, highs = recorded.line("lesson", "accuracy", ["a", "b"])
    assert places == ["a", "b"] and lows[0] == low and means[1] == pytest.approx(0.52) and highs[0] == high


def test_what_was_not_recorded_is_told_from_zero():
    assert math.isnan(recorded.mean("lesson", "nothing")) and recorded.interval("lesson", "nothing") is None
    assert recorded.series("lesson", "nothing") == {} and recorded.text("lesson", "nothing") == "–"
    assert all(map(math.isnan, recorded.over_seeds("nowhere", "nothing")))
    assert recorded.caption("lesson", "paper") == "nothing is recorded with the profile paper"


def test_texts_have_the_interval_and_the_sign_that_their_unit_asks_for():
    low, high = recorded.interval("lesson", "accuracy/a")
    assert recorded.text("lesson", "accuracy/a") == f"0.98 [{low:.2f}, {high:.2f}]"
    assert recorded.text("lesson", "accuracy/a", percent=True) == f"98% [{low:.0%}, {high:.0%}]"
    assert recorded.text("lesson", "change/a", digits=3) == "+0.060 [+0.035, +0.085]"
    assert recorded.text("lesson", "change/a", "cifar") == "−0.06 [−0.08, −0.04]"
    assert recorded.text("lesson", "change/a", sign=False) == "0.06 [0.04, 0.08]"
    assert recorded.text("lesson", "accuracy/a", "gpu") == "0.90 (one seed)"
    assert recorded.text("lesson", "change/b", digits=3) == "0.000 [−0.248, +0.248]", "zero has no sign"
    assert recorded.names("lesson", "accuracy") == ["a", "b"] and recorded.names("lesson", "accuracy", "gpu") == ["a"]


def test_a_difference_is_taken_seed_by_seed():
    assert recorded.difference("lesson", "accuracy/a", "accuracy/b") == "+0.46 [+0.46, +0.46]"
    assert recorded.difference("lesson", "change/b", "change/a", digits=1) == "−0.1 [−0.3, +0.2]"
    assert recorded.difference("lesson", "change/a", "accuracy/b", "cifar") == "–"


def test_a_side_is_told_by_the_rule_of_the_verdicts():
    words = {"above": "more", "below": "less"}
    assert recorded.side("lesson", "change/a", **words) == "more"
    assert recorded.side("lesson", "change/a", "cifar", **words) == "less"
    assert recorded.side("lesson", "change/b", **words) == "undecided"
    assert recorded.side("lesson", "accuracy/a", "cifar", **words) == "not tested"
    assert recorded.side("lesson", "change/a", threshold=0.5, **words) == "less"


def test_verdicts_with_their_reasons():
    assert str(recorded.verdict("lesson", "a")) == "supported"
    assert str(recorded.verdict("lesson", "a", "cifar")) == "contradicted"
    difference = recorded.verdict("lesson", "a-over-b")
    assert difference.values == pytest.approx((0.46, 0.46, 0.46)) and difference.word == "supported"
    reasons = {which: recorded.verdict("lesson", which, "cifar").reason for which in ("b", "a-over-b", "eye")}
    assert reasons == {"b": "not recorded", "a-over-b": "needs both", "eye": "needs judges"}
    assert recorded.verdict("lesson", "a", "gpu").reason == "not recorded"
    with pytest.raises(KeyError, match="nearest: 'points'"):
        recorded.verdict("lesson", "point")


def test_fewer_than_three_seeds_test_nothing(book):
    changed = CLAIMS | {"claims": [CLAIM | {"id": "a", "text": "A.", "number": "accuracy/a", "unit": "share"}]}
    (book / "claims/lesson.yaml").write_text(yaml.safe_dump(changed))
    assert recorded.verdict("lesson", "a", "cifar").reason == "2 of 3 seeds"


def test_an_effect_shows_on_which_side_of_its_threshold_it_lies():
    assert recorded.effect(recorded.verdict("lesson", "points")) == "−2.5 [−3.7, −1.3] points"
    assert recorded.effect(recorded.verdict("lesson", "tiny")) == "+0.0003 [+0.0001, +0.0005]"
    assert recorded.effect(recorded.verdict("lesson", "eye")) == ""


def test_counts_leave_out_controls_and_findings_as_asked():
    assert recorded.counts("lesson") == {"supported": 4, "contradicted": 0, "undecided": 1, "not tested": 1}
    assert recorded.counts("lesson", controls=False)["undecided"] == 0
    assert recorded.counts("lesson", findings=["second"]) == {
        "supported": 0, "contradicted": 0, "undecided": 0, "not tested": 1}
    with pytest.raises(KeyError, match="no finding 'secnd'.*nearest: 'second'"):
        recorded.counts("lesson", findings=["secnd"])


def test_tables_of_claims_and_findings():
    table = recorded.claims_table("lesson")
    assert table.columns == ("claim", "place", "printed", "shapes", "CIFAR-10") and len(table.rows) == 6
    assert table.rows[0] == ("A rises.", "P2, Figure 1", "+0.010", "supported: +0.060 [+0.035, +0.085], margin\u00a01.4",
                             "contradicted: −0.060 [−0.085, −0.035], margin\u00a01.4")
    assert table.rows[1][0] == "Control: B rises." and table.rows[2][2] == "+0.050"
    assert table.rows[5][3:] == ("not tested: needs judges", "not tested: needs judges")
    assert "shapes (generated), 100 images, net, 3 seeds, CPU, commit abc1234." in table.caption
    assert recorded.findings_table("lesson").rows == (
        ("A changes", "4 / 0 / 1 / 0", "0 / 1 / 0 / 4"), ("Anything else", "0 / 0 / 0 / 1", "0 / 0 / 0 / 1"))


def test_kinds_stand_in_a_table_with_their_intervals():
    table = recorded.kinds("lesson", {"accuracy": "accuracy", "change": "change"}, ["a", "c"], first="kind", digits=3)
    assert table.columns == ("kind", "accuracy", "change")
    assert table.rows[0][2] == "+0.060 [+0.035, +0.085]" and table.rows[1] == ("c", "–", "–")


def test_the_chart_has_each_verdict_once():
    figure = recorded.verdict_chart("lesson")
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words.count("supported") == 4 and words.count("undecided") == 1 and words.count("not tested") == 1
    assert "needs judges" in words and "A changes" in words


def test_values_of_another_setting_have_no_verdict():
    table = recorded.comparison("lesson", ["recorded", "cifar"])
    found = {row[0]: row[1:] for row in table.rows}
    assert table.columns == ("number", "source", "paper", "shapes", "CIFAR-10")
    assert found["change"][1:] == (
        "+0.010", "+0.060 [+0.035, +0.085] supported", "−0.060 [−0.085, −0.035] contradicted")
    assert found["accuracy"][2].endswith(" other setting") and found["accuracy"][3].endswith(" other setting")
    assert found["Gini index"][2].endswith(" reproduced") and found["Gini index"][3] == "not run"
    assert found["other accuracy"][2].endswith(" not reproduced")
    assert [row[0] for row in recorded.comparison("lesson", ["recorded"], kind="effect").rows] == ["change"]


def test_a_number_stands_beside_the_profile_of_its_setting_alone(book):
    papers = {"change/a/net": PAPER | {"what": "change, net", "value": -0.01, "kind": "effect"}}
    (book / "published/lesson.json").write_text(json.dumps(PUBLISHED | papers))
    table = recorded.comparison("lesson", {"recorded": "", "cifar": "/net"}, kind="effect")
    assert {row[0]: row[3:] for row in table.rows} == {
        "change": ("+0.060 [+0.035, +0.085] supported", "not run"),
        "change, net": ("not run", "−0.060 [−0.085, −0.035] supported")}


def test_a_caption_tells_the_copies_and_commits_that_are_known(monkeypatch):
    runs = [{"seed": seed, "dataset": "cifar10", "copy": copy, "model": "net", "device": "CPU", "commit": commit}
            for seed, (copy, commit) in enumerate([("'small'", "unknown"), ("small", "abc1234"), ("unknown", "unknown")])]
    monkeypatch.setattr(ledger, "facts", lambda name, profile: runs)
    assert recorded.caption("nowhere") == "cifar10, small, net, 3 seeds, CPU, commit abc1234"
    monkeypatch.setattr(ledger, "facts", lambda name, profile: runs[:1])
    assert recorded.caption("nowhere") == "cifar10, small, net, 1 seed, CPU"
