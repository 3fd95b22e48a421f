"""What is generated from claims, ledger and lessons: current, and complete."""
import math
import re

import yaml

from nblib.runs import claims, pages, recorded, scoreboard
from nblib.runs.parameters import BOOK
from tests.fixtures.notebooks import LESSONS


def test_the_committed_pages_are_current():
    mend = "call `python -m nblib.runs.pages` and commit"
    assert (BOOK / "scoreboard.md").read_text() == pages.MARK + scoreboard.page(), mend
    assert (BOOK / "verdict_counts.md").read_text() == scoreboard.counts(), mend
    assert (BOOK / "gallery.md").read_text() == pages.gallery(), mend
    assert (BOOK / "points.md").read_text() == pages.points_page(), mend


def test_each_lesson_has_a_card_whose_numbers_are_recorded():
    cards = yaml.safe_load((BOOK / "cards.yaml").read_text())
    assert set(LESSONS) <= set(cards)
    for lesson, card in ((lesson, cards[lesson]) for lesson in LESSONS):
        typed = re.search(r"\d\s?%|\d\.\d", re.sub(r"\{.*?\}", "", card["answer"]))
        assert card["numbers"] and not typed, f"{lesson}: {typed} is typed"
        for name, number in card["numbers"].items():
            assert f"{{{name}:" in card["answer"] and math.isfinite(recorded.mean(lesson, *number)), (lesson, name)
    assert pages.gallery().count(":link: ") == len(LESSONS)


def test_each_claim_has_a_row_with_a_verdict_on_each_data_set():
    page = scoreboard.page()
    for name in claims.lessons():
        for claim in claims.claims(name):
            bar = f" (*{recorded.bar(claim)}*)" if claim.number and recorded.bar(claim) else ""
            row = next(line for line in page.splitlines() if line.startswith(f"| {recorded.sentence(claim)}{bar} |"))
            words = re.findall(r"\*\*([a-z ]+)\*\*", row)
            assert claim.place in row.replace("\u00a0", " ") and set(words) <= set(claims.VERDICTS), row
            assert len(words) == len(claims.data_sets(name)), row
        for profile in claims.data_sets(name):
            assert f"python3 -m nblib run {name} --profile {profile} --seeds " in page


def test_the_counts_are_those_of_the_rows_that_are_the_papers():
    found = re.findall(r"\| P\d \| [^|]+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", scoreboard.counts())
    counted = [list(map(int, row)) for row in found]
    asked = {name: [claim for claim in claims.claims(name) if not claim.control and claim.paper != claims.OURS]
             for name in claims.lessons()}
    assert sum(map(sum, counted)) == sum(len(own) * len(claims.data_sets(name)) for name, own in asked.items())
    rows = [line for line in scoreboard.page().splitlines() if line.startswith("| ")]
    rows = [line for line in rows if not line.startswith("| Control") and f"| {claims.OURS}, " not in line]
    for place, word in enumerate(claims.VERDICTS):
        assert sum(line.count(f"**{word}**") for line in rows) == sum(row[place] for row in counted)


def test_each_paper_has_claims_and_the_last_row_is_the_sum():
    papers = {claim.paper for name in claims.lessons() for claim in claims.claims(name)}
    assert papers >= {"P0", "P1", "P2", "P3", "P4"}
    *rows, sums = re.findall(r"^\| (?:P\d|all) \|.*", scoreboard.counts(), re.M)
    numbers = [[int(cell) for cell in row.split("|")[3:-1]] for row in (*rows, sums)]
    assert sums.startswith("| all |") and numbers[-1] == [sum(column) for column in zip(*numbers[:-1])]
