"""Runs on their way into the ledger: written whole or not at all, never changed, refused where none could repeat them."""
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest

from nblib import store
from nblib.runs import bookkeeping, ledger, parameters
from nblib.runs.ledger import Number
from nblib.runs.parameters import Refused
from tests.fixtures.project import notebook

TOC = "format: jb-book\nroot: book/index\nchapters:\n  - file: book/first\n"
VALUES = {"dataset": "digits", "model": "small_resnet", "seed": 0, "device": "cpu", "image_size": 32, "rate": 0.2,
          "kind": "red"}
NETWORK = {"file": "net.safetensors", "training": {"threads": 1}}


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book with one chapter, whose profile "small" sets one parameter."""
    monkeypatch.setattr(store, "ROOT", tmp_path)
    for name, path in {"ROOT": tmp_path, "BOOK": tmp_path / "book", "PROFILES": tmp_path / "book/profiles"}.items():
        monkeypatch.setattr(parameters, name, path)
    (tmp_path / "book/profiles/small").mkdir(parents=True)
    (tmp_path / "book/profiles/small/first.yaml").write_text("rate: 0.2\n")
    (tmp_path / "_toc.yml").write_text(TOC)
    notebook(tmp_path / "book/first.ipynb")
    return tmp_path / "book"


def executed(folder, numbers, *, commit="abc1234", networks=(), **changed):
    """Write a notebook as a run leaves it: each number in an output of its own."""
    made = nbformat.v4.new_notebook()
    facts = {"dataset": "digits", "copy": "", "model": "small_resnet", "device": "CPU", "processor": "AVX2",
             "threads": 1, "versions": {"torch": "2"}}
    for place, (name, value) in enumerate(numbers.items()):
        entry = {"name": name, "value": value, "unit": "share", "what": f"a {name}", "setting": "other"}
        told = {"numbers": [entry], "facts": facts | {"networks": list(networks) if place == 0 else []}}
        output = nbformat.v4.new_output("display_data", {"text/plain": ""}, metadata={"nblib_record": told})
        made.cells.append(nbformat.v4.new_code_cell("", outputs=[output]))
    made.metadata["nblib"] = {"seconds": 1.5, "peak_gigabytes": 1.0, "parameters": VALUES | changed, "commit": commit}
    path = folder / f"executed-{store.key(numbers, commit, changed)}.ipynb"
    nbformat.write(made, path)
    return path


def contents(book) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (book / "results/first").iterdir()}


def test_a_run_is_two_files_with_its_facts(book, tmp_path):
    path = bookkeeping.record("first", "small", executed(tmp_path, {"b": 0.5, "a": 1 / 3}, networks=[NETWORK]))
    assert path == book / "results/first/small-seed0.csv"
    assert path.read_text() == "name,value,unit,what\na,0.3333333333333333,share,a a\nb,0.5,share,a b\n"
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts.items() >= {"profile": "small", "seed": 0, "key": "", "revision": 1, "parameters": VALUES,
                             "threads": 1, "processor": "AVX2", "seconds": 1.5, "commit": "abc1234", "dirty": False,
                             "networks": [NETWORK]}.items()
    assert len(contents(book)) == 2 and bookkeeping.check("first") == []
    bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.1}, seed=3))
    assert ledger.series("first", "a", "small") == {0: 1 / 3, 3: 0.1}


def test_nothing_on_record_is_changed(book, tmp_path):
    first = bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.1, "b": 0.2}))
    before = contents(book)
    assert bookkeeping.record("first", "small", executed(tmp_path, {"b": 0.2, "a": 0.1}, commit="def5678")) == first
    assert contents(book) == before, "the same numbers again add nothing"
    second = bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.3}))
    third = bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.1, "b": 0.2}))
    assert [second.name, third.name] == ["small-seed0-r2.csv", "small-seed0-r3.csv"]
    assert contents(book).items() > before.items()
    assert ledger.series("first", "a", "small") == {0: 0.1} and bookkeeping.check("first") == []


def test_other_parameters_make_another_series(book, tmp_path):
    bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.1}))
    other = bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.2}, rate=0.3))
    another = bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.3}, rate=0.3, kind="blue"))
    bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.4}, rate=0.3, seed=1))
    keys = {path: ledger.parts(path.stem)[2] for path in (other, another)}
    assert all(keys.values()) and keys[other] != keys[another]
    assert ledger.series("first", "a", "small") == {0: 0.1}
    assert (book / f"results/first/small-seed1-{keys[other]}.csv").exists(), "the seed stands beside the key"
    assert bookkeeping.check("first") == []


def test_without_a_profile_the_chapters_own_parameters_count(book, tmp_path):
    assert bookkeeping.record("first", "default", executed(tmp_path, {"a": 0.1}, rate=0.5)).stem == "default-seed0"
    assert ledger.parts(bookkeeping.record("first", "default", executed(tmp_path, {"a": 0.1})).stem)[2]


@pytest.mark.parametrize("commit, dirty, words", [
    ("abc1234+", True, "differ from commit abc1234.*--dirty"), ("unknown", "unknown", "no git checkout.*--dirty")])
def test_what_nobody_could_repeat_is_refused_unless_asked_for(book, tmp_path, commit, dirty, words):
    path = executed(tmp_path, {"a": 0.1}, commit=commit)
    with pytest.raises(Refused, match=words):
        bookkeeping.record("first", "small", path)
    assert not (book / "results").exists()
    bookkeeping.record("first", "small", path, dirty=True)
    (run,) = ledger.runs("first")
    assert run.facts["commit"] == commit and run.facts["dirty"] == dirty and bookkeeping.check("first") == []
    again = bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.1}))
    assert again.stem == "small-seed0-r2", "the same numbers from a clean tree are worth a file"
    assert bookkeeping.record("first", "small", path, dirty=True) == again


@pytest.mark.parametrize("numbers, words", [({}, "recorded no number"), ([("a", 0.1), ("a", 0.2)], "'a' twice")])
def test_a_run_without_numbers_or_with_one_twice_is_refused(book, tmp_path, numbers, words):
    path = executed(tmp_path, dict(numbers))
    if numbers:
        one, two = nbformat.read(path, 4), nbformat.read(executed(tmp_path, dict(numbers[:1])), 4)
        one.cells += two.cells
        nbformat.write(one, path)
    with pytest.raises(Refused, match=words):
        bookkeeping.record("first", "small", path)
    assert not (book / "results").exists()


def test_runs_that_record_at_once_do_not_meet(book, tmp_path):
    paths = [executed(tmp_path, {"a": place / 10}) for place in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda path: bookkeeping.record("first", "small", path), paths))
    assert len({path.stem for path in made}) == 8 and bookkeeping.check("first") == []
    assert {run.numbers["a"].value for run in ledger.runs("first")} == {place / 10 for place in range(8)}


KILLED = """
import os, sys
from pathlib import Path
from nblib import store
from nblib.runs import bookkeeping, parameters
parameters.BOOK = Path(sys.argv[1])
write = store.write
store.write = lambda path, text: os.kill(os.getpid(), 9) if path.suffix == ".json" else write(path, text)
bookkeeping.write("first", {"a": bookkeeping.Number(0.1, "share", "an a")},
                  {"profile": "small", "seed": 0, "key": "", "revision": 1})
"""


def test_a_run_that_is_killed_between_its_files_counts_for_nothing(book, tmp_path):
    assert subprocess.run([sys.executable, "-c", KILLED, str(book)]).returncode == -9
    assert set(contents(book)) == {"small-seed0.csv"}
    with pytest.warns(UserWarning, match="small-seed0.csv has no small-seed0.json"):
        assert ledger.series("first", "a", "small") == {}
    assert bookkeeping.check("first") == ["small-seed0.csv: small-seed0.json is missing"]
    with pytest.warns(UserWarning):
        path = bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.2}))
    assert path.stem == "small-seed0" and bookkeeping.check("first") == []
    assert ledger.series("first", "a", "small") == {0: 0.2}


def test_a_lost_half_is_never_written_over(book, tmp_path):
    path = bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.1}))
    path.unlink()
    left = path.with_suffix(".json").read_bytes()
    with pytest.warns(UserWarning):
        assert bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.2})).stem == "small-seed0-r2"
    assert path.with_suffix(".json").read_bytes() == left
    assert bookkeeping.check("first") == ["small-seed0.json: small-seed0.csv is missing"]


def line(text):
    return lambda path: path.write_text(path.read_text() + text)


def fact(**changed):
    def change(path):
        facts = json.loads(path.with_suffix(".json").read_text()) | changed
        kept = {name: value for name, value in facts.items() if value is not None}
        path.with_suffix(".json").write_text(json.dumps(kept))
    return change


SPOILT = [
    (line("c,0.30,share,a c\n"), ["'0.30' is not a finite number as they are written", "is not as it was recorded"]),
    (line("c,nan,share,a c\n"), ["'nan' is not a finite number"]),
    (line("c,many,share,a c\n"), ["'many' is not a finite number"]),
    (line("a,0.5,share,an a\n"), ["'a' stands twice"]),
    (line("c,0.5\n"), ["line 3 has not a name, value, unit and what"]),
    (lambda path: path.write_text("value,name\n1,a\n"), ["the first line is", "expected name,value,unit,what"]),
    (lambda path: path.write_text("name,value,unit,what\n"), ["no number"]),
    (lambda path: path.write_text(path.read_text().replace("0.1", "0.2")), ["is not as it was recorded"]),
    (lambda path: path.with_suffix(".json").write_text("{"), ["no JSON"]),
    (lambda path: path.rename(path.with_name("small_0.csv")), ["small_0.csv: not named"]),
    (lambda path: path.with_suffix(".txt").touch(), ["small-seed0.txt: not named"]),
    (fact(seed=1), ["seed is 1, in the name 0", "the parameter seed is 0, the run's 1"]),
    (fact(profile="large"), ["profile is 'large', in the name 'small'"]),
    (fact(revision=2), ["revision is 2, in the name 1"]),
    (fact(threads=None), ["threads is None"]),
    (fact(threads="some"), ["threads is 'some', expected a value or 'unknown'"]),
    (fact(seconds="long"), ["seconds is 'long'"]),
    (fact(dirty=True), ["dirty is True at commit 'abc1234'"]),
    (fact(commit="abc1234+"), ["dirty is False at commit 'abc1234+'"]),
    (fact(parameters=VALUES | {"rate": 0.9}), ["has ['rate'] parameters other than those of the profile small"]),
]


@pytest.mark.parametrize("spoil, words", SPOILT, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_what_is_wrong_with_a_file_is_told(book, tmp_path, spoil, words):
    spoil(bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.1})))
    wrong = "\n".join(bookkeeping.check("first"))
    for text in words:
        assert text in wrong


def test_runs_of_a_profile_that_is_gone_are_told(book, tmp_path):
    bookkeeping.record("first", "small", executed(tmp_path, {"a": 0.1}))
    (book / "profiles/small/first.yaml").unlink()
    assert "small-seed0: profile 'small' has no file for first" in bookkeeping.check("first")[0]


def test_a_key_without_other_parameters_is_told(book):
    named = {"profile": "small", "seed": 0, "key": "0123abcd", "revision": 1, "parameters": VALUES}
    facts = {"dataset": "", "copy": "", "model": "", "device": "", "processor": "", "threads": 1, "versions": {},
             "seconds": 1.0, "commit": "abc1234", "dirty": False, "networks": [], "paper_setting": [], "notes": []}
    bookkeeping.write("first", {"a": Number(0.1, "share", "an a")}, named | facts)
    assert "has no parameters other than those of the profile small, and a key" in bookkeeping.check("first")[0]
