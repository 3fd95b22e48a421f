"""The pages that are generated: all parameters, run times, the scoreboard; the start page's cards, the exercises' points."""
import os
import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
import yaml

from nblib import store
from nblib.runs import ledger, parameters, recorded, scoreboard
from nblib.runs.handouts import assignments

PARAMETERS = """# All parameters

Each chapter declares its parameters in its first code cell; this page is made from those cells.
{doc}`running` says how to set them.
"""
RUN_TIMES = """# Run times

What each chapter took, measured by the program that ran it: seconds from the kernel's start to its end, trained models
included where they were not in the store yet, and the kernel's peak memory.

"""
CARD = """:::{{grid-item-card}} {title}
:img-top: {picture}
:img-alt: {alt}
:link: {lesson}
:link-type: doc
:link-alt: {title}

{answer}
:::
"""
OPENING = re.compile(r"^```\{figure\} (\S+)\n(?::name: .*\n)?:alt: (.*)$", re.M)  # picture, what is on it
MARK = "<!-- made by `python -m nblib.runs.pages`; do not edit -->\n\n"


def parameters_page() -> str:
    """Return the page of all parameters and profiles, as MyST."""
    parts = [MARK + PARAMETERS]
    for chapter in parameters.chapters():
        parts.append(f"## {{doc}}`{chapter}`\n")
        rows = ["| name | type | default | may be | what it is |", "| --- | --- | --- | --- | --- |"]
        for item in parameters.declared(parameters.source(chapter)).values():
            default = f"`{item.default!r}`".replace("|", r"\|")
            rows.append(f"| `{item.name}` | {item.kind} | {default} | {item.allowed} | {item.help} |")
        parts.append("\n".join(rows) + "\n")
        for name in parameters.profiles():
            if (parameters.PROFILES / name / f"{chapter}.yaml").exists():
                values = yaml.safe_dump(parameters.profile(name, chapter), sort_keys=False)
                parts.append(f"Profile `{name}`:\n\n```yaml\n{values}```\n")
    return "\n".join(parts)


def _device(name: str) -> str:
    """Return the kind of device that a page ran on."""
    from nblib.training import choose_device

    kind = choose_device(name).type
    return f"CPU, {os.cpu_count()} cores" if kind == "cpu" else kind


def run_times_page(executed: Mapping[str, Path]) -> str:
    """Return the page of run times: this build's pages, then the recorded runs of the ledger."""
    rows = ["| chapter | run | device | seconds | peak memory, GB |", "| --- | --- | --- | --- | --- |"]
    for chapter, path in executed.items():
        facts = nbformat.read(path, 4).metadata["nblib"]
        device = _device(facts["parameters"]["device"])
        rows.append(f"| {{doc}}`{chapter}` | this page | {device} | {facts['seconds']} | {facts['peak_gigabytes']} |")
    for chapter in parameters.chapters():
        if parameters.lab_of(chapter) != chapter:
            continue  # what is recorded was measured by its lab
        lesson = parameters.lesson_of(chapter)
        for name in ledger.profiles(lesson):
            told = [{fact: str(facts[fact]) for fact in ("device", "seconds")} for facts in ledger.facts(lesson, name)]
            device, seconds = ("; ".join(sorted({facts[fact] for facts in told})) for fact in ("device", "seconds"))
            rows.append(f"| {{doc}}`{chapter}` | recorded, `{name}` | {device} | {seconds} | |")
    return MARK + RUN_TIMES + "\n".join(rows) + "\n"


def gallery() -> str:
    """Return a card for each lesson as MyST: its opening picture, its title, and its answer with recorded numbers."""
    cards = parameters.BOOK / "cards.yaml"
    told = yaml.safe_load(cards.read_text()) if cards.exists() else {}
    shown = "\n".join(_card(lesson, told[lesson]) for lesson in parameters.chapters() if lesson in told)
    return f"{MARK}::::{{grid}} 1 1 2 2\n:gutter: 3\n:class-container: nblib-gallery\n\n{shown}::::\n"


def _card(lesson: str, told: Mapping) -> str:
    """Return the card of a lesson."""
    prose = "\n\n".join(cell.source for cell in nbformat.read(parameters.source(lesson), 4).cells
                        if cell.cell_type == "markdown")
    picture, alt = OPENING.search(prose).groups()
    title = re.search(r"^# (.+)$", prose, re.M)[1]
    means = {name: recorded.mean(lesson, *number) for name, number in told["numbers"].items()}
    answer = told["answer"].format(**means).replace("-0.", "−0.").replace("by -", "by −")
    return CARD.format(title=title, picture=picture, alt=alt, lesson=lesson, answer=answer)


def points_page() -> str:
    """Return the exercises of all lessons with their points, as a table in MyST."""
    rows = []
    for lesson in parameters.chapters():
        found = list(assignments.exercises(nbformat.read(parameters.source(lesson), 4)))
        if found:
            listed = " · ".join(f"{each.number}. {each.title} ({each.points})" for each in found)
            rows.append([f"{{doc}}`{lesson}`", listed, str(sum(each.points for each in found))])
    lines = [["lesson", "exercises (points)", "sum"], ["---"] * 3, *rows]
    return MARK + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(folder: Path, executed: Mapping[str, Path]) -> None:
    """Write the pages into a folder of pages."""
    store.write(folder / "parameters.md", parameters_page())
    store.write(folder / "run_times.md", run_times_page(executed))
    store.write(folder / "scoreboard.md", MARK + scoreboard.page())
    # parts of the start page, and of the page on teaching
    store.write(folder / "verdict_counts.md", scoreboard.counts())
    store.write(folder / "gallery.md", gallery())
    store.write(folder / "points.md", points_page())


if __name__ == "__main__":
    write(parameters.BOOK, {})
