"""The commands of `python3 -m nblib`, once inside the environment.

What takes seconds to import is imported where it is needed, so that a slip is told at once.
"""
import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nblib import store
from nblib.checks import nearest
from nblib.runs import parameters
from nblib.runs.parameters import Refused, WorkFailed
from nblib.runs.sweeps import settings


def act(given: argparse.Namespace) -> int:
    """Do what the command line asks; an error that the reader can mend becomes one message, without a traceback."""
    _make_variables_absolute()
    actions = {"build": _build, "run": _run, "sweep": _sweep, "results": _results, "data": _data, "doctor": _doctor}
    try:
        status = actions[given.command](given) or 0
        sys.stdout.flush()
        return status
    except (Refused, WorkFailed) as error:
        print(f"nblib: {error}", file=sys.stderr)
        return 2 if isinstance(error, Refused) else 1
    except BrokenPipeError:  # who reads what is printed, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"nblib: {error.filename or 'a file'}: {error.strerror}; what was there before is still there", file=sys.stderr)
    return 1


def _doctor(given: argparse.Namespace) -> int:
    from nblib.runs import doctor

    return doctor.report()


def _build(given: argparse.Namespace) -> None:
    _expect_writable(store.ROOT / "_build/stage/page", "`run NAME -o FILE` needs no such folder")
    from nblib.runs import book

    first = book.build(
        profile=given.profile, only=given.only, solutions=given.solutions, packed=given.zip, jobs=given.jobs
    )
    print(first.relative_to(store.ROOT))


def _common(given: argparse.Namespace, chapter: str) -> dict[str, object]:
    """Return the parameters of the profile and the file that a command names."""
    return parameters.profile(given.profile, chapter) | (parameters.read(Path(given.f), chapter) if given.f else {})


def _run(given: argparse.Namespace) -> None:
    chapter = parameters.lab_of(given.chapter) if given.record else given.chapter
    known = parameters.declared(parameters.source(chapter))
    values = _common(given, chapter)
    for name, text in given.p:
        values[name] = settings.one(known[name], text) if name in known else text
    if given.seeds < 0 or (given.seeds and "seed" in values):
        raise Refused(f"--seeds {given.seeds} was given; expected 1 or more, and no parameter seed beside it")
    target = Path(given.o) if given.o else store.ROOT / "_build/runs" / f"{chapter}.ipynb"
    if target.suffix not in (".ipynb", ".html") or target.resolve().parent == parameters.BOOK.resolve():
        raise Refused(f"-o {given.o} was given; expected a name ending in .ipynb or .html, outside book/")
    _expect_writable(target, "name another file with -o")
    values = parameters.check(chapter, _with_absolute_paths(values))

    from nblib.runs import bookkeeping

    _expect_recordable(given, chapter)
    for seed in range(given.seeds) if given.seeds else [values["seed"]]:
        out = target.with_stem(f"{target.stem}-seed{seed}") if given.seeds else target
        executed = _page(chapter, values | {"seed": seed}, out.resolve(), clean=given.record and not given.dirty)
        print(out)
        if given.record:
            path = bookkeeping.record(parameters.lesson_of(chapter), given.profile, executed, dirty=given.dirty)
            print(f"on record in {path.relative_to(store.ROOT)}")


def _sweep(given: argparse.Namespace) -> None:
    chapter = parameters.lab_of(given.name)
    known = parameters.declared(parameters.source(chapter))
    wanted = settings.combined(chapter, _common(given, chapter), given.p)
    varied = list(dict(given.p))
    if given.workers < 0:
        raise Refused(f"--workers {given.workers} was given; expected 1 or more, or 0 for one a core")
    against = given.against or next((name for name in varied if name != "seed"), "seed")
    if against not in known:
        raise Refused(f"--against {against} was given; {chapter} has the parameters {', '.join(known)}"
                      f"{nearest(against, known)}")
    out = Path(given.o) if given.o else store.ROOT / "_build/sweeps" / f"{chapter}.csv"
    if out.suffix != ".csv" or out.resolve().parent == parameters.BOOK.resolve():
        raise Refused(f"-o {given.o} was given; expected a name ending in .csv, outside book/")
    _expect_writable(out, "name another file with -o")

    from nblib.runs.sweeps.sweep import sweep

    _expect_recordable(given, chapter)
    sweep(
        chapter, {name: _with_absolute_paths(values) for name, values in wanted.items()}, [*varied, against], out,
        workers=given.workers, scheduler=given.scheduler, record=given.profile if given.record else None,
        dirty=given.dirty, plot=(given.plot, against) if given.plot else None,
    )


def _expect_recordable(given: argparse.Namespace, chapter: str) -> None:
    """Refuse `--record` where the ledger can't be written, or where files have changed since the commit."""
    if not given.record:
        return
    from nblib.runs import bookkeeping

    home = parameters.BOOK / "results" / parameters.lesson_of(chapter)
    _expect_writable(home / "run", "record in a checkout that can be")
    if not given.dirty:
        bookkeeping.expect_clean(bookkeeping.commit())


def _page(chapter: str, values: Mapping[str, object], out: Path, *, clean: bool) -> Path:
    """Execute a chapter into `out`, as a notebook or as a page that is one file; return the executed notebook.

    Args:
        clean: a notebook that is kept from a changed tree does not do.
    """
    if out.suffix == ".ipynb":
        return _finish(chapter, values, out)
    from nblib.runs import book, chapters
    from nblib.runs.site import single

    book.bring_scripts()
    executed = _finish(chapter, values, chapters.kept(chapter, values, clean=clean))
    single.write(executed, chapter, out)
    return executed


def _finish(chapter: str, values: Mapping[str, object], out: Path) -> Path:
    """Execute a chapter into `out`; an error of a cell becomes one sentence, its traceback is in the failed notebook."""
    import nbformat

    from nblib.runs import chapters

    failed = out.with_suffix(".failed.ipynb")
    failed.unlink(missing_ok=True)  # of an earlier run
    ((_, result),) = chapters.apart([(chapter, values, out)])
    if not isinstance(result, chapters.ChapterFailed):
        return out
    cells = nbformat.read(failed, 4).cells if failed.exists() else []
    errors = [output for cell in cells for output in cell.get("outputs", []) if output.output_type == "error"]
    if not errors:
        raise result
    raise WorkFailed(f"{chapter}: {errors[0].ename}: {errors[0].evalue}; the traceback is in {failed}")


def _with_absolute_paths(values: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters with relative paths made absolute: they mean the caller's folder, a notebook runs in its own."""
    dataset, weights = values.get("dataset"), values.get("weights")
    changed = {}
    if isinstance(dataset, str) and dataset.startswith("folder:") and dataset != "folder:":
        changed["dataset"] = f"folder:{Path(dataset.removeprefix('folder:')).expanduser().absolute()}"
    if weights and isinstance(weights, str) and weights != "default":
        changed["weights"] = str(Path(weights).expanduser().absolute())
    return dict(values) | changed


def _make_variables_absolute() -> None:
    """Let relative folders in the variables that name some mean the caller's folder, here and in every process begun."""
    for name in ("NBLIB_DATA", "NBLIB_STORE", "PYTHONPATH"):
        if os.environ.get(name):
            places = os.environ[name].split(os.pathsep) if name == "PYTHONPATH" else [os.environ[name]]
            os.environ[name] = os.pathsep.join(str(Path(place).expanduser().absolute()) for place in places)


def _expect_writable(target: Path, way_out: str) -> None:
    """Refuse a file that cannot be written, before the work whose result it shall hold; say a way out."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise Refused(f"{target} can't be written: {error.strerror}; {way_out}") from None


def _results(given: argparse.Namespace) -> int | None:
    from nblib.runs import ledger

    name = parameters.lesson_of(given.name)
    if name not in ledger.names():
        raise Refused(f"nothing is recorded of {name!r}; of {', '.join(ledger.names()) or 'no lesson'} there is"
                      f"{nearest(name, ledger.names())}")
    if given.verify is not None:
        return _verify(name, given.profile or "recorded", given.verify)
    found = ledger.table(name)
    if given.csv:
        with store.atomic(given.csv) as part:
            found.to_csv(part, index=False)
        print(f"{len(found)} numbers of {len(ledger.runs(name))} runs in {given.csv}")
    else:
        print(found[["profile", "seed", "key", *ledger.COLUMNS]].to_string(index=False))


def _verify(name: str, profile: str, seed: int) -> int:
    """Run a recorded seed of a lab again and say whether its numbers come out; the ledger stays as it is."""
    import nbformat

    from nblib.runs import bookkeeping, ledger

    lab = parameters.lab_of(name)
    values = parameters.check(lab, bookkeeping.parameters_of(name, profile, seed))
    before = [facts for facts in ledger.facts(name, profile) if facts["seed"] == seed]
    if isinstance(before[-1]["threads"], int):
        os.environ.setdefault("OMP_NUM_THREADS", str(before[-1]["threads"]))  # what the caller chose holds
    out = store.ROOT / "_build/runs" / f"{lab}-verify-seed{seed}.ipynb"
    _finish(lab, values, out)
    numbers, facts = bookkeeping.measured(nbformat.read(out, 4), out)
    found = ledger.compared(name, profile, seed, numbers)
    seeds = len({facts["seed"] for facts in ledger.facts(name, profile)})
    agree, lines = ledger.agreement(found, ledger.other_conditions(before, facts), seeds)
    print(f"{lab}, profile {profile}, seed {seed}: {len(found)} numbers compared; {out}")
    print("\n".join(lines))
    return 0 if agree else 1


def _data(given: argparse.Namespace) -> int:
    from nblib import data

    try:
        if given.action == "list":
            for name, what, images, where, present in data.describe(given.data_dir):
                print(f"{name:<15}{'here' if present else '-':<6}{images:>10}  {what}  ({where})")
            return 0
        if given.action == "fetch":
            where = data.fetch(given.name, given.data_dir)
            print(f"{given.name}: {where or 'nothing to fetch, it is generated or comes with a library'}")
            return 0
        problems = data.verify(given.name, given.data_dir)
        here = {} if problems else data.count_images(given.name, given.data_dir)
    except (ValueError, KeyError, RuntimeError) as error:
        raise Refused(error.args[0] if isinstance(error, KeyError) else str(error)) from None
    published = next(images for name, _, images, _, _ in data.describe(given.data_dir) if name == given.name)
    counts = " + ".join(f"{count:,} {split}" for split, count in here.items())
    sound = f"every file can be read; here are {counts} images, published were {published}" if here else "it needs no files"
    print("\n".join(problems) or f"{given.name}: {sound}")
    return 1 if problems else 0
