"""The ledger as it is read: runs, series over seeds, statistics, one table."""
import json
import math

import pytest

from nblib.runs import bookkeeping, ledger, parameters
from nblib.runs.ledger import Number

FACTS = {"parameters": {"seed": 0}, "dataset": "shapes", "copy": "", "model": "net", "device": "CPU",
         "processor": "AVX2", "threads": 1, "versions": {}, "seconds": 1.5, "commit": "abc1234", "dirty": False, "networks": [],
         "paper_setting": [], "notes": []}


@pytest.fixture
def book(tmp_path, monkeypatch):
    """An empty book."""
    monkeypatch.setattr(parameters, "BOOK", tmp_path)
    return tmp_path


def write(seed, values, *, profile="recorded", key="", revision=1, **facts):
    numbers = {name: Number(value, "share", f"a {name}") for name, value in values.items()}
    named = {"profile": profile, "seed": seed, "key": key, "revision": revision}
    return bookkeeping.write("lesson", numbers, FACTS | named | {"parameters": {"seed": seed}} | facts)


AWKWARD = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 0.30000000000000004, 1e22, 123456789.12345679]


def test_values_read_back_to_the_last_bit(book):
    path = write(0, {f"number/{place}, {value}": value for place, value in enumerate(AWKWARD)})
    (run,) = ledger.runs("lesson")
    assert [it.value.hex() for it in run.numbers.values()] == [value.hex() for value in AWKWARD]
    assert path.name == "recorded-seed0.csv" and run.facts["seconds"] == 1.5
    table = ledger.table("lesson")
    table.to_csv(book / "all.csv", index=False)
    lines = (book / "all.csv").read_text().splitlines()[1:]
    assert all(repr(value) in line for value, line in zip(AWKWARD, lines, strict=True))


def test_a_series_has_the_newest_value_of_each_seed(book):
    write(0, {"a": 0.1, "b": 0.2}, commit="first00")
    write(10, {"a": 0.3})
    write(0, {"a": 0.5, "c": 0.7}, revision=2, commit="second0")
    write(0, {"a": 0.9}, key="0123abcd")
    write(0, {"a": 0.8}, profile="gpu")
    assert ledger.series("lesson", "a") == {0: 0.5, 10: 0.3}
    assert ledger.series("lesson", "b") == {0: 0.2}, "a number is read from the newest file that holds it"
    assert ledger.series("lesson", "c") == {0: 0.7}
    assert ledger.series("lesson", "a", "gpu") == {0: 0.8}
    assert ledger.series("lesson", "d") == ledger.series("other", "a") == {}
    assert [facts["commit"] for facts in ledger.facts("lesson")] == ["first00", "second0", "abc1234"]
    assert ledger.names() == ["lesson"] and ledger.profiles("lesson") == ["gpu", "recorded"]


def test_facts_of_a_run_that_is_read_no_more_are_left_out(book):
    write(0, {"a": 0.1}, commit="first00")
    write(0, {"a": 0.5}, revision=2, commit="second0")
    assert [facts["commit"] for facts in ledger.facts("lesson")] == ["second0"]


def test_the_table_has_a_row_for_each_number_of_each_run(book):
    write(0, {"a": 0.1, "b": 0.2}, paper_setting=["b"])
    write(0, {"a": 0.9}, key="0123abcd", revision=2)
    table = ledger.table("lesson")
    assert table[["seed", "key", "revision", "name", "value", "setting"]].values.tolist() == [
        [0, "", 1, "a", 0.1, "other"], [0, "", 1, "b", 0.2, "paper"], [0, "0123abcd", 2, "a", 0.9, "other"]]
    assert set(table["device"]) == {"CPU"} and len(ledger.table("nothing")) == 0


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_half_a_run_is_told_and_not_read(book, ending):
    write(0, {"a": 0.1})
    write(1, {"a": 0.2}).with_suffix(ending).unlink()
    with pytest.warns(UserWarning, match="recorded-seed1.*not read: record the run again"):
        assert ledger.series("lesson", "a") == {0: 0.1}


@pytest.mark.parametrize("name, content", [
    ("recorded-seed0.csv", "name,value,unit,what\na,many,share,an a\n"),
    ("recorded-seed0.csv", "name;value\n"),
    ("recorded-seed0.json", "{"),
    ("recorded-seed0.json", "[]"),
])
def test_a_file_that_is_no_run_is_named(book, name, content):
    write(0, {"a": 0.1}).with_name(name).write_text(content if name.endswith("json") else content + "a,0.1\n")
    with pytest.raises(ValueError, match="recorded-seed0.csv.*do not read as a run"):
        ledger.runs("lesson")


def test_the_interval_is_students():
    low, high = ledger.interval([1.0, 2.0, 3.0])
    assert math.isclose(low, 2 - 4.302652729911275 / math.sqrt(3)) and math.isclose(high, 4 - low)
    assert ledger.interval([1.0]) is ledger.interval([]) is None
    assert ledger.interval([-0.1, 0.1], unit="share") == ledger.interval([-0.1, 0.1]), "a difference is no share"


def test_the_interval_of_a_share_is_taken_on_the_logit_scale():
    values = [0.7, 0.8, 0.9]
    low, high = ledger.interval(values, unit="share")
    # logit 0.8 = log 4; half = t s / sqrt(3) / (0.8 * 0.2)
    half = 4.302652729911275 * 0.1 / math.sqrt(3) / 0.16
    assert math.isclose(math.log(low / (1 - low)), math.log(4) - half)
    assert math.isclose(math.log(high / (1 - high)), math.log(4) + half)
    mirrored = ledger.interval([1 - value for value in values], unit="share")
    assert math.isclose(mirrored[0], 1 - high) and math.isclose(mirrored[1], 1 - low)


@pytest.mark.parametrize("values", [
    [0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.99], [0.001, 0.0], [0.2, 0.5], [0.5, 0.5]])
def test_the_interval_of_a_share_stays_in_its_range_and_holds_the_mean(values):
    low, high = ledger.interval(values, unit="share")
    assert 0 <= low <= sum(values) / len(values) <= high <= 1
    assert (low, high) != (0, 1) or len(set(values)) > 1


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
def test_seeds_that_agree_have_an_interval_of_one_point(value):
    assert ledger.interval([value] * 3, unit="share") == (value, value)


def numbers(**values):
    return {name.replace("__", "/"): Number(value, "s" if name == "took" else "share", "") for name, value in values.items()}


def test_a_new_run_is_compared_with_what_the_ledger_reads(book):
    write(0, {"a": 0.1, "b": 0.5, "time/a": 3.0, "took": 3.0, "gone": 0.1})
    write(1, {"a": 0.3, "b": 0.5})
    write(0, {"a": 0.2}, revision=2)
    write(0, {"a": 0.9}, key="0123abcd")
    found = ledger.compared("lesson", "recorded", 0, numbers(a=0.25, b=0.505, time__a=9.0, took=9.0, new=1.0))
    assert set(found) == {"a", "b"}, "clock readings, and what one of the runs lacks, are left out"
    spread = 0.1 / math.sqrt(2)  # of 0.2, from the second revision, and 0.3
    assert found["a"] == (0.2, 0.25, pytest.approx(0.05 / spread))
    assert found["b"] == (0.5, 0.505, pytest.approx(0.5)), "seeds that agree have a spread of one point"


NETWORK = {"file": "net", "training": {"device": "CPU", "processor": "AVX2", "threads": 1, "versions": {}}}


@pytest.mark.parametrize("recorded, now, words", [
    ({}, {}, ""), ({"networks": [NETWORK]}, {"networks": [NETWORK, NETWORK]}, ""),
    ({}, {"processor": "AVX512"}, "on another processor"), ({}, {"threads": 2}, "with other threads"),
    ({"networks": [NETWORK]}, {"networks": [{"file": "net", "training": NETWORK["training"] | {"threads": 2}}]},
     "with other threads"),
    ({"processor": "unknown", "threads": "unknown (2)"}, {}, "; not on record: processor, threads"),
    ({"networks": "unknown"}, {}, "; not on record: device, processor, threads, versions"),
    ({"processor": "unknown"}, {"threads": 2}, "with other threads; not on record: processor"),
    ({}, {"versions": {"torch": "3"}}, "with other versions"),
    ({}, {"device": "H100"}, "on a GPU, whose sums have no fixed order, on another device"),
])
def test_what_is_other_between_two_runs_is_told(recorded, now, words):
    assert ledger.other_conditions([FACTS | recorded], FACTS | now) == words


@pytest.mark.parametrize("apart, elsewhere, agree, said", [
    (0.0, "", True, "equal to the last bit"), (0.0, "with other threads", True, "equal to the last bit, with other threads"),
    (0.3, "with other threads", True, "equal within 0.3 of the spread over seeds, with other threads; 1 of 2"),
    (3.9, "with other threads", True, "equal within 3.9 of the spread"),
    (4.0, "with other threads", False, "different, by 4 spreads over seeds, with other threads"),
    (1e-9, "", False, "different, by 1e-09 spreads over seeds, under the same conditions"),
])
def test_a_run_under_the_same_conditions_has_to_repeat_every_bit_and_any_other_to_be_a_draw_of_the_seeds(
        apart, elsewhere, agree, said):
    found = {"a": (0.1, 0.1, 0.0), "b": (0.5, 0.6, apart)}
    verdict, (first, *worst) = ledger.agreement(found, elsewhere, 5)  # 2.776 times the root of 2 is 3.926
    assert verdict == agree and first.startswith(said)
    assert [line.split(":")[0].strip() for line in worst] == ["b"] * bool(apart)


@pytest.mark.parametrize("far, agree", [(5, True), (6, False)])
def test_one_number_in_twenty_may_be_far_off(far, agree):
    found = {str(place): (0.1, 0.2, 50.0 if place < far else 0.5) for place in range(100)}
    verdict, (first, *_) = ledger.agreement(found, "with other threads", 3)
    assert verdict == agree and first.startswith("equal within 0.5 of" if agree else "different, by 50 spreads")


def test_what_was_moved_here_reads_as_it_was():
    """Two numbers of the first ledger, with what is known of where they came from."""
    assert ledger.series("saliency", "accuracy/B-cos", "pets")[3] == 0.75
    facts = ledger.facts("saliency", "pets")
    assert [it["seed"] for it in facts] == [0, 1, 2, 3, 4]
    assert all(it["commit"].startswith("unknown") and it["notes"] for it in facts)
    assert json.dumps(facts[3]["parameters"]["epochs"]) == "40"
