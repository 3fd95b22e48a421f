"""Texts of the command line, of files and of papermill mean what they say, by the declared kind."""
import pytest

from nblib.runs.parameters import Parameter, Refused, check, check_one, complete, parsed, profile

SEED = Parameter("seed", "int", 0, "a seed", 0, 100000)
RATE = Parameter("rate", "float", 0.1, "a rate", 0.000001, 1)
FREE = Parameter("free", "float", 0.1, "any number")
FLAG = Parameter("flag", "bool", True, "a choice")
NAME = Parameter("name", "str", "", "a text")
SOME = Parameter("some", "list", [4], "classes", 0, 100)
WORDS = Parameter("words", "list", ["red"], "colours", choices=("red", "green"))


@pytest.mark.parametrize("parameter, text, value", [
    (SEED, "3", 3), (SEED, "010", 10), (SEED, "1e3", 1000), (SEED, "+7", 7), (SEED, " 5 ", 5), (SEED, "1_000", 1000),
    (RATE, "1e-3", 0.001), (RATE, "1E-3", 0.001), (RATE, ".5", 0.5), (RATE, "1", 1), (RATE, "0.01", 0.01), (RATE, "5e-4", 0.0005), (FREE, "1_000.5", 1000.5),
    (FLAG, "true", True), (FLAG, "False", False), (FLAG, "no", False), (FLAG, "on", True),
    (NAME, "010", "010"), (NAME, "true", "true"), (NAME, "null", "null"),
    (SOME, "[1, 010]", [1, 10]), (SOME, "[1e1]", [10]), (WORDS, "[red, green]", ["red", "green"]),
])
def test_a_text_means_what_people_write(parameter, text, value):
    found = parsed(parameter, text)
    check_one(parameter, found)
    assert found == value and (isinstance(found, bool) == isinstance(value, bool))


@pytest.mark.parametrize("parameter, text, said", [
    (SEED, "many", "'many' was given"), (SEED, "1.5", "1.5 was given"), (SEED, "true", "'true' was given"),
    (SEED, "-1", "-1 was given"), (SEED, "1__0", "'1__0' was given"), (SEED, "_1", "'_1' was given"), (SEED, "0x10", "'0x10' was given"),
    (SEED, "", "'' was given"), (SEED, "1:30", "'1:30' was given"), (SEED, "null", "'null' was given"),
    (RATE, "nan", "'nan' was given"), (RATE, "inf", "'inf' was given"), (FREE, "1e999", "inf was given"),
    (RATE, "2", "2.0 was given"), (RATE, "1,5", "'1,5' was given"),
    (FLAG, "1", "'1' was given"), (FLAG, "maybe", "'maybe' was given"),
    (SOME, "4", "'4' was given"), (SOME, "[cat]", "'cat' was given in the list"), (SOME, "[null]", "'null' was given in the list"),
    (SOME, "[[1]]", "was given in the list"), (SOME, "[1.5]", "1.5 was given in the list"), (SOME, "[true]", "'true' was given"),
    (SOME, "[]", "an empty list was given"), (SOME, "[101]", "101 was given"), (SOME, "[1", "'[1' was given"),
    (SOME, "{a: 1}", "'{a: 1}' was given"), (WORDS, "[blue]", "'blue' was given"),
])
def test_a_text_that_means_nothing_is_refused_in_words(parameter, text, said):
    with pytest.raises(Refused) as refused:
        check_one(parameter, parsed(parameter, text))
    assert said in str(refused.value) and parameter.name in str(refused.value)


def test_what_a_profile_sets_can_be_told_where_its_images_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_DATA", str(tmp_path))
    chapter, set_there = "importance_lab", profile("pets", "importance_lab")
    full = complete(chapter, set_there)
    assert full.items() >= set_there.items() and full["seed"] == 0
    with pytest.raises(Refused, match="oxford_pets was not found"):
        check(chapter, set_there)
    with pytest.raises(Refused, match="no parameter 'pach'"):
        complete(chapter, {"pach": 8})
