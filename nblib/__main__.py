"""Build, run and test the book. The first use makes the environment `.venv` and installs the pins into it."""
import signal

if __name__ == "__main__" and hasattr(signal, "pthread_sigmask"):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it waits until `main` heeds it

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Callable, Sequence

from nblib import store
from nblib.runs.environment import ROOT, SetUpError, enter, heed_interrupts

NEED_THE_BOOK = {"build", "test", "run", "sweep", "results"}


def arguments() -> argparse.ArgumentParser:
    """Return the command line's grammar; it needs nothing installed, so that a slip is told before any work."""
    parser = argparse.ArgumentParser(prog="python3 -m nblib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    build = commands.add_parser("build", help="execute the chapters and render the book under _build/")
    build.add_argument("--profile", default="default", help="a folder of book/profiles; the notebooks' defaults if left out")
    build.add_argument("--only", action="append", metavar="CHAPTER", help="execute this chapter only; may be repeated")
    build.add_argument("--solutions", choices=["shown", "folded", "hidden"], default="folded",
                       help="how the pages treat solutions; hidden also writes notebooks for students and for nbgrader")
    build.add_argument("--zip", action="store_true", help="also pack the rendered book for reading offline")
    build.add_argument("--jobs", type=int, default=2, help="chapters to execute at once (default 2)")

    commands.add_parser("test", help="run all tests; further arguments go to pytest, such as -k NAME")

    run = commands.add_parser("run", help="run one chapter with your own parameters")
    run.add_argument("chapter")
    run.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set one parameter")
    run.add_argument("-f", metavar="FILE", help="a flat YAML file of parameters")
    run.add_argument("--profile", default="default", help="a folder of book/profiles; -f and -p lie over it")
    run.add_argument("-o", metavar="OUT", help="where the executed notebook goes (default _build/runs/CHAPTER.ipynb); "
                     "OUT.html makes one page of it that opens offline")
    run.add_argument("--record", action="store_true",
                     help="run the lab of CHAPTER and put its numbers on record below book/results")
    run.add_argument("--dirty", action="store_true",
                     help="with --record: also where files have changed since the commit")
    run.add_argument("--seeds", type=int, default=0, metavar="N", help="run N times, with the parameter seed 0 to N-1")

    _add_sweep(commands)

    results = commands.add_parser("results", help="show all recorded numbers of a chapter as one table")
    results.add_argument("name")
    results.add_argument("--csv", metavar="FILE", help="write the whole table, with the facts of each run, to a file")
    results.add_argument("--verify", type=int, metavar="SEED",
                         help="run the lab again with this recorded seed and say whether its numbers come out")
    results.add_argument("--profile", help="with --verify: the profile that was recorded (default recorded)")

    data = commands.add_parser("data", help="list, fetch or verify data sets")
    data.add_argument("action", choices=["list", "fetch", "verify"])
    data.add_argument("name", nargs="?", help="the data set to fetch or verify")
    data.add_argument("--data-dir", help="the root of the data sets (default: $NBLIB_DATA)")

    commands.add_parser("doctor", help="say what this machine can run, and what to do about what it can't")
    return parser


def _add_sweep(commands: argparse._SubParsersAction) -> None:
    """Add the grammar of `sweep`."""
    sweep = commands.add_parser(
        "sweep", help="run the lab of a chapter with all combinations of several values of parameters",
        description="Run the lab of NAME once for each combination of values, on several workers. `0..4` names the whole "
        "numbers from 0 to 4; commas outside brackets separate values; a value with a comma is quoted; a list parameter "
        "takes `[1,5],[10]`. What is finished is kept and not run again.")
    sweep.add_argument("name", metavar="NAME")
    sweep.add_argument("-p", nargs=2, action="append", default=[], metavar=("PARAMETER", "VALUES"),
                       help="the values of one parameter, such as -p seed 0..4 -p model small_resnet,timm:resnet18")
    sweep.add_argument("-f", metavar="FILE", help="a flat YAML file of parameters that all settings have")
    sweep.add_argument("--profile", default="default", help="a folder of book/profiles; -f and -p lie over it")
    where = sweep.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, default=0, metavar="N", help="processes of this machine (default: one a core)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="take the workers of this Dask scheduler")
    sweep.add_argument("-o", metavar="TABLE.csv", help="where the table goes (default _build/sweeps/LAB.csv)")
    sweep.add_argument("--plot", metavar="NUMBER", help="also draw this number, or all kinds of it, into TABLE.png")
    sweep.add_argument("--against", metavar="PARAMETER", help="with --plot: what it is drawn over (default: the first of -p)")
    sweep.add_argument("--record", action="store_true", help="put the numbers on record below book/results")
    sweep.add_argument("--dirty", action="store_true",
                       help="with --record: also where files have changed since the commit")


def main() -> int:
    """Parse, enter the environment, act; return the exit code."""
    heed_interrupts()
    parser = arguments()
    given, rest = parser.parse_known_args()
    if rest and given.command != "test":
        parser.error(f"{given.command} does not know {' '.join(rest)}")
    if given.command == "data" and given.action != "list" and not given.name:
        parser.error(f"data {given.action} needs the name of a data set; `data list` shows them")
    if given.command in ("run", "sweep") and given.dirty and not given.record:
        parser.error("--dirty goes with --record")
    if given.command == "sweep" and given.against and not given.plot:
        parser.error("--against goes with --plot")
    if given.command == "results" and (given.csv if given.verify is not None else given.profile):
        parser.error("--profile goes with --verify, and --csv does not")
    if not store.IN_CHECKOUT and given.command in NEED_THE_BOOK:
        parser.error(f"{given.command} needs the book, and this is the library alone: call it in a checkout of Pathways; "
                     "here `data` and `doctor` work")
    try:
        if store.IN_CHECKOUT:
            enter(sys.argv[1:])
    except SetUpError as error:
        print(f"nblib: {error}", file=sys.stderr)
        return 1
    if given.command == "test":
        # the book first, with both cores to itself; a choice of tests builds it only if one of them asks for it
        built = 0 if rest else attend(store.tied("nblib.__main__:run", "build"))
        return attend(store.tied("nblib.__main__:tests", "-p", "tests", "-n", "2", *rest)) or built
    from nblib.runs import commands

    return commands.act(given)


def attend(command: Sequence[str]) -> int:
    """Run a command in the project's folder and return its exit code; it hears Ctrl-C itself, and has time to end."""
    with store.deaf():
        begun = subprocess.Popen(command, cwd=ROOT)
    with begun as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
            process.kill()
            sys.exit(130)


def chosen_tests() -> int:
    """Run the tests that the command line names; return the exit code."""
    heed_interrupts()
    import pytest

    return int(pytest.main(sys.argv[1:]))


def tests() -> int:
    """Run the tests that the command line names, as a command of its own."""
    return run(chosen_tests)


def run(work: Callable[[], int] = main) -> int:
    """Do what the command line says and return the exit code; tell of an interruption in one line."""
    try:
        return work()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        store.say("interrupted; what was finished is kept, the same command goes on from there")
        return 130


if __name__ == "__main__":
    sys.exit(run())
