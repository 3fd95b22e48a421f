"""The command `sweep`: all settings checked, those that are missing executed, and what they measured in one table."""
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat

from nblib import store
from nblib.runs import bookkeeping, chapters, parameters
from nblib.runs.parameters import Refused, WorkFailed
from nblib.runs.sweeps import settings, table
from nblib.store import say

Settings = Mapping[str, Mapping[str, object]]  # name -> all parameters


def sweep(chapter: str, wanted: Settings, varied: Sequence[str], out: Path, *, workers: int, scheduler: str | None,
          record: str | None, dirty: bool, plot: tuple[str, str] | None) -> None:
    """Execute the settings of a lab that are not kept, and write what all of them measured.

    Args:
        wanted: the settings, by their names.
        varied: the parameters that have several values.
        out: the table; the plot lies beside it.
        workers: processes on this machine, 0 for one a core.
        scheduler: the address of a scheduler whose workers are taken instead.
        record: the profile under whose name the numbers go on record.
        dirty: also record what a changed tree made.
        plot: a number, and the parameter that it is drawn against.

    Raises:
        Refused: a setting that could not work, before the first is executed; a number that is not there to be drawn.
        WorkFailed: settings failed; the table holds the others.
    """
    places = _places(chapter, wanted, clean=bool(record) and not dirty, elsewhere=bool(scheduler))
    work = {name: (wanted[name], path) for name, path in places.items() if not chapters.whole(path)}
    done = {name: path for name, path in places.items() if name not in work}
    lines = len(wanted)
    if done:
        say(f"{len(done)} of {lines} settings are kept, {len(work)} are left")
    found = {name: _gather(chapter, path, varied, record, dirty) for name, path in done.items()}
    failures = []
    for name, result in _execute(chapter, work, workers, scheduler):
        if isinstance(result, Path):
            try:
                found[name] = _gather(chapter, result, varied, record, dirty)
            except Refused as error:
                result = str(error)
        if not isinstance(result, Path):
            failures.append(name)
            say(f"{name}: {result}")
    if found:
        frame = table.write([row for name in wanted for row in found.get(name, ())], out)
        print(out)
        if plot:
            table.plot(frame, *plot, varied, out.with_suffix(".png"))
            print(out.with_suffix(".png"))
    if failures:
        raise WorkFailed(f"{len(failures)} of {lines} settings failed: {'; '.join(failures)}. What finished is kept"
                         f"{' and in the table' if found else ''}; the same command tries the others again")


def _places(chapter: str, wanted: Settings, *, clean: bool, elsewhere: bool) -> dict[str, Path]:
    """Return where the page of each setting is or will be kept; refuse a setting that could not work."""
    places = {}
    for name, values in wanted.items():
        try:
            places[name] = chapters.kept(chapter, values, shown=False, clean=clean)
        except (ValueError, KeyError, RuntimeError, OSError):
            break  # it is refused below
    missing = {name: values for name, values in wanted.items() if name not in places or not places[name].exists()}
    settings.expect_each(chapter, missing, elsewhere=elsewhere)
    return {name: places.get(name) or chapters.kept(chapter, values, shown=False, clean=clean)
            for name, values in wanted.items()}


def _gather(chapter: str, executed: Path, varied: Sequence[str], record: str | None, dirty: bool) -> list[dict]:
    """Return the rows of an executed setting, whose numbers go on record where that is asked for."""
    found = table.rows(executed, varied)
    if record:
        path = bookkeeping.record(parameters.lesson_of(chapter), record, executed, dirty=dirty)
        say(f"on record in {path.relative_to(store.ROOT)}")
    return found


def _execute(chapter: str, work: Mapping[str, tuple[Mapping, Path]], workers: int, scheduler: str | None):
    """Yield each setting as it ends, and tell how many are left and about how long they take."""
    if not work:
        return
    from nblib.runs.sweeps import cluster

    workers = min(workers or os.cpu_count() or 1, len(work))
    where = f"the workers of {scheduler}" if scheduler else f"{workers} workers of this machine"
    say(f"{len(work)} settings on {where}")
    begun = time.monotonic()
    for number, (name, result) in enumerate(cluster.finish(chapter, work, workers=workers, scheduler=scheduler), 1):
        left = len(work) - number
        if isinstance(result, Path):
            said = f"done in {nbformat.read(result, 4).metadata['nblib']['seconds']} s"
        else:
            said = "failed"
        minutes = max(1, round((time.monotonic() - begun) / number * left / 60))
        say(f"[{number}/{len(work)}] {name}: {said}; {left} left{f', {minutes} min or less' if left else ''}")
        yield name, result
