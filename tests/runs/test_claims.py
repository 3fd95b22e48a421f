"""The papers' claims as data, and the one rule of the verdicts."""
import statistics

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from nblib.runs import claims, ledger, parameters

GOOD = {
    "data_sets": {"recorded": "shapes"},
    "findings": {"sparser": "Pruning makes maps sparser"},
    "claims": [
        {"id": "gini", "finding": "sparser", "paper": "P2", "place": "Figure 1", "text": "Maps become sparser.",
         "number": "gini/10", "direction": "above", "threshold": 0, "unit": "difference"},
        {"id": "eye", "finding": "sparser", "paper": "P2", "place": "Figure 4", "text": "It shows.", "needs": "judges"},
    ],
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a lesson's claims with changes to the first of them, and return what is read."""
    monkeypatch.setattr(parameters, "BOOK", tmp_path)
    (tmp_path / "claims").mkdir()

    def write(changes=None, content=None, drop=()):
        content = content or GOOD
        first, *others = content["claims"]
        first = {part: value for part, value in (first | (changes or {})).items() if part not in drop}
        (tmp_path / "claims/pruning.yaml").write_text(yaml.safe_dump(content | {"claims": [first, *others]}, sort_keys=False))
        return claims.claims("pruning")

    return write


@pytest.mark.parametrize("name", claims.lessons())
def test_the_committed_claims_read_and_name_their_place(name):
    found = claims.claims(name)
    assert len({claim.id for claim in found}) == len(found) and claims.data_sets(name)
    assert {claim.finding for claim in found} == set(claims.findings(name)), "no heading without a claim"
    for claim in found:
        assert claim.paper in ("P0", "P1", "P2", "P3", "P4", claims.OURS) and claim.text.endswith(".") and len(claim.text) <= 120
        assert claim.place.split()[0] in ("Section", "Appendix", "Finding", "Table", "Figure"), claim.id


def test_a_claim_reads_as_it_is_written(written):
    first, second = written()
    assert (first.number, first.direction, first.threshold, first.control) == ("gini/10", "above", 0, False)
    assert second.number is None and second.needs == "judges"
    assert claims.claim("pruning", "eye") == second and claims.data_sets("pruning") == {"recorded": "shapes"}
    with pytest.raises(KeyError, match="nearest: 'gini'"):
        claims.claim("pruning", "gin")
    with pytest.raises(KeyError, match="no claims of 'prunning'.*nearest: 'pruning'"):
        claims.claims("prunning")


@pytest.mark.parametrize("changes, drop, said", [
    ({"directon": "above"}, (), "'gini'.*'directon' is not known; nearest: 'direction'"),
    ({"direction": "up"}, (), "direction is 'up', expected 'above' or 'below'"),
    ({"unit": "percent"}, (), "unit is 'percent'"),
    ({"threshold": 2}, (), "threshold is 2, expected a number from -1 to 1"),
    ({"threshold": True}, (), "threshold is True"),
    ({"unit": "share", "threshold": -0.1}, (), "from 0 to 1"),
    ({"unit": "share", "minus": "gini/0"}, (), "a difference of two shares is no share"),
    ({"finding": "spaser"}, (), "no finding 'spaser'; nearest: 'sparser'"),
    ({"place": " "}, (), "place is ' ', expected a text"),
    ({}, ("text",), "text is None"),
    ({}, ("number",), "says what a test `needs`"),
    ({"id": "eye"}, (), "two claims 'eye'"),
])
def test_a_claim_that_does_not_hold_together_is_refused(written, changes, drop, said):
    with pytest.raises(ValueError, match=said):
        written(changes, drop=drop)


@pytest.mark.parametrize("content, said", [
    (GOOD | {"more": {}}, "nothing else"),
    (GOOD | {"data_sets": {}}, "data_sets is {}, expected a dict that is not empty"),
])
def test_a_file_of_another_form_is_refused(written, content, said):
    with pytest.raises(ValueError, match=said):
        written(content=content)


@pytest.mark.parametrize("name", claims.lessons())
def test_every_number_that_a_claim_names_is_recorded_for_one_of_its_data_sets(name):
    for claim in claims.claims(name):
        recorded = [set(ledger.series(name, claim.number, profile)) & set(
            ledger.series(name, claim.minus or claim.number, profile)) for profile in claims.data_sets(name)]
        assert claim.number is None or any(len(seeds) >= claims.LEAST for seeds in recorded), f"{name}: {claim.id}"


@pytest.mark.parametrize("name", claims.lessons())
def test_an_effect_that_a_paper_prints_lies_on_the_side_that_its_claim_names(name):
    """Where the paper prints the number that tests a claim, the paper itself is on the claim's side."""
    printed, compared = ledger.published(name), 0
    for claim in claims.claims(name):
        numbers = [number for number in (claim.number, claim.minus) if number]
        if numbers and not claim.control and all(number in printed for number in numbers):
            value = printed[numbers[0]]["value"] - sum(printed[number]["value"] for number in numbers[1:])
            assert (value > claim.threshold) == (claim.direction == "above"), f"{name}: {claim.id}"
            compared += 1
    assert compared or name in ("concepts", "comparison")


@pytest.mark.parametrize("values, direction, threshold, unit, word", [
    ([0.05, 0.06, 0.07], "above", 0.0, "difference", "supported"),
    ([0.05, 0.06, 0.07], "below", 0.0, "difference", "contradicted"),
    ([-0.05, 0.06, 0.17], "above", 0.0, "difference", "undecided"),  # the interval holds zero
    ([-0.05, -0.06, -0.07], "above", 0.0, "difference", "contradicted"),
    ([-0.05, -0.06, -0.07], "below", 0.0, "difference", "supported"),
    ([-0.01, -0.011, -0.009], "above", -0.02, "difference", "supported"),
    ([0.0, 0.0, 0.0], "above", 0.0, "difference", "undecided"),  # on the threshold
    ([0.1, 0.1, 0.1], "above", 0.0, "difference", "supported"),
    ([0.05, 0.06], "above", 0.0, "difference", "not tested"),
    ([], "above", 0.0, "difference", "not tested"),
    ([0.01, 0.02, 0.12], "above", 0.0, "difference", "undecided"),
    ([0.01, 0.02, 0.12], "above", 0.0, "share", "supported"),  # a share that is not 0 is above 0
    ([0.97, 0.99, 1.0], "below", 1.0, "share", "supported"),
])
def test_the_verdict_is_where_the_interval_lies(values, direction, threshold, unit, word):
    assert claims.verdict(values, threshold=threshold, direction=direction, unit=unit) == word


@pytest.mark.parametrize("word, interval, threshold, margin", [
    ("supported", (0.2, 0.6), 0.1, 0.5), ("contradicted", (0.2, 0.6), 0.65, 0.25), ("undecided", (0.2, 0.6), 0.25, 0.25),
    ("supported", (-0.2, -0.1), 0.0, 2.0), ("undecided", (0.2, 0.6), 0.4, 1.0), ("supported", (0.2, 0.2), 0.1, None),
    ("not tested", None, 0.0, None),
])
def test_the_margin_goes_from_the_threshold_to_the_nearer_end_in_half_widths(word, interval, threshold, margin):
    claim = claims.Claim("a", "f", "P2", "Figure 1", "A.", "a", None, "above", threshold, "")
    assert claims.Outcome(claim, word, "", (), interval).margin == (margin and pytest.approx(margin))


@pytest.mark.parametrize("values, direction, said", [
    ([1.0, 2.0, 3.0], "up", "direction 'up'"), ([1.0, float("nan"), 3.0], "above", "expected finite values"),
])
def test_the_verdict_refuses_what_is_no_measurement(values, direction, said):
    with pytest.raises(ValueError, match=said):
        claims.verdict(values, threshold=0.0, direction=direction, unit="")


SEEDS = st.lists(st.floats(-1, 1).map(lambda value: round(value, 6)), min_size=3, max_size=8)
ORDER = ["contradicted", "undecided", "supported"]


@given(SEEDS, st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.floats(-0.9, 0.9))
def test_moving_all_values_moves_the_verdict_one_way(values, moves, threshold):
    for direction, sign in (("above", 1), ("below", -1)):
        moved = [[value + sign * move for value in values] for move in sorted(moves)]
        words = [claims.verdict(each, threshold=threshold, direction=direction, unit="") for each in moved]
        places = [ORDER.index(word) for word in words]
        assert places == sorted(places), words


@given(SEEDS, st.floats(-0.9, 0.9))
def test_the_two_directions_of_a_claim_say_the_opposite(values, threshold):
    other = {"supported": "contradicted", "contradicted": "supported", "undecided": "undecided"}
    above, below = (claims.verdict(values, threshold=threshold, direction=side, unit="") for side in claims.SIDES)
    assert below == other[above]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
@example([0.0, 5e-324])
def test_the_interval_of_a_share_stays_a_share_and_holds_the_mean(values):
    low, high = ledger.interval(values, unit="share")
    mean = statistics.mean(values)
    assert 0 <= low <= high <= 1 and low <= mean + 1e-9 and mean - 1e-9 <= high


@given(st.lists(st.floats(0, 1), min_size=3, max_size=8), st.floats(0.01, 0.99))
def test_no_share_is_on_both_sides_of_a_threshold(values, threshold):
    words = [claims.verdict(values, threshold=threshold, direction=side, unit="share") for side in claims.SIDES]
    assert words in (["supported", "contradicted"], ["contradicted", "supported"], ["undecided", "undecided"])
    if words[0] != "undecided":
        assert (statistics.mean(values) > threshold) == (words[0] == "supported")
