"""The page for teachers: a plan for each lesson, whose headings are there and linked, and commands that are commands."""
import re

import pytest
from docutils.nodes import make_id

from nblib.__main__ import arguments
from nblib.runs import parameters
from tests.fixtures.notebooks import LESSONS, prose

PAGE = (parameters.BOOK / "teaching.md").read_text()
PLAN = re.compile(r'^\{doc\}`(\w+)` and its <a href="(\w+)\.html\?slides">slides</a>, (\d+) minutes\..*\n\n((?:\|.*\n)+)', re.M)
PLANS = {lesson: (slides, int(minutes), table) for lesson, slides, minutes, table in PLAN.findall(PAGE)}


def test_each_lesson_has_a_plan_and_slides():
    assert set(PLANS) == set(LESSONS)
    assert all(slides == lesson for lesson, (slides, _, _) in PLANS.items())


@pytest.mark.parametrize("lesson", PLANS)
def test_a_plan_fills_its_minutes_and_names_headings_of_its_lesson(lesson):
    _, minutes, table = PLANS[lesson]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]
    times = [tuple(map(int, row[0].split("–"))) for row in rows]
    assert times[0][0] == 0 and times[-1][1] == minutes <= 90
    assert all(end == begin for (_, end), (begin, _) in zip(times, times[1:]))
    found = re.findall(r"^#{2,3} (.+)$", re.sub(r"^```.*?^```", "", prose(lesson), flags=re.S | re.M), re.M)
    for *_, headings in rows:
        for link in headings.split("</a>, "):
            address, heading = re.fullmatch(r'<a href="([^"]+)">([^<]+)(?:</a>)?', link).groups()
            assert heading in found, f"{lesson} has no heading {heading!r}"
            assert address == f"{lesson}.html#{make_id(heading)}"


def test_its_commands_are_commands():
    commands = re.findall(r"^`?\|? ?`?python3 -m nblib ([^`\n]+)", PAGE, re.M)
    assert len(commands) >= 5
    for command in commands:
        given, rest = arguments().parse_known_args(command.split())
        assert not rest, command
