"""The papers' claims as data, and the one rule of the verdicts."""
import pytest
import yaml

from nblib.runs import claims

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
    monkeypatch.setattr(claims, "FOLDER", tmp_path)

    def write(changes=None, content=None, drop=()):
        content = content or GOOD
        first, *others = content["claims"]
        first = {part: value for part, value in (first | (changes or {})).items() if part not in drop}
        (tmp_path / "pruning.yaml").write_text(yaml.safe_dump(content | {"claims": [first, *others]}, sort_keys=False))
        return claims.claims("pruning")

    return write


@pytest.mark.parametrize("name", claims.lessons())
def test_the_committed_claims_read_and_name_their_place(name):
    found = claims.claims(name)
    assert len({claim.id for claim in found}) == len(found) and claims.data_sets(name)
    assert {claim.finding for claim in found} == set(claims.findings(name)), "no heading without a claim"
    for claim in found:
        assert claim.paper in ("P0", "P1", "P2", "P3", "P4") and claim.text.endswith(".") and len(claim.text) <= 120
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
