"""What is left where something is killed, damaged, deleted or done twice at once; in a folder with spaces and umlauts."""
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from nblib import store
from nblib.runs import book, chapters, environment
from nblib.runs.parameters import WorkFailed
from nblib.runs.site import vendor
from tests.fixtures.project import Project, notebook

COUNT = "open('ran.txt', 'a').write('x')"
WAIT = """import os, pathlib, time
pathlib.Path('kernel').write_text(str(os.getpid()))
while not pathlib.Path('go').exists(): time.sleep(0.1)"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("left") / "Bücher und Pläne", {"first": [COUNT, "print('seed', run.seed)"]})
    code, out, error = made.call("build", "--zip")
    assert code == 0, error
    return made


def ended(processes: list[psutil.Process], within: float = 5) -> bool:
    """Say whether processes end within so many seconds; those that do not are killed."""
    end = time.monotonic() + within
    while (alive := [process for process in processes if at_work(process)]) and time.monotonic() < end:
        time.sleep(0.1)
    for process in alive:
        process.kill()
    return not alive


def at_work(process: psutil.Process) -> bool:
    """Say whether a process has not ended; one that has and that nobody has asked for its status yet has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(happened, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end and process.poll() is None, process.communicate()[1]
        time.sleep(0.1)


def left(folder) -> list[str]:
    """Return what in the store and beside the pages is nobody's."""
    names = [path for pattern in (".*.part", "scratch/*", ".*.ipynb") for path in folder.rglob(pattern)]
    return [str(path) for path in names if path.name != ".ipynb_checkpoints"]


def test_a_killed_build_leaves_no_process_and_two_at_once_end_well(tmp_path):
    project = Project(tmp_path / "Bücher und Pläne", {"quick": [COUNT], "slow": [WAIT]})
    process = project.start("build")
    until((project.folder / "book/kernel").exists, process)
    kept = project.folder / "_build/store/executed/quick"
    until(lambda: any(kept.glob("*.ipynb")), process)  # what was not kept yet is rightly done again
    family = psutil.Process(process.pid).children(recursive=True)
    assert int((project.folder / "book/kernel").read_text()) in [child.pid for child in family]
    process.kill()
    assert ended(family), "a worker or a kernel is still at work"
    process.communicate()
    (project.folder / "book/kernel").unlink()
    first = project.start("build")
    until((project.folder / "book/kernel").exists, first)
    second = project.start("build")
    time.sleep(1)
    (project.folder / "book/go").touch()
    errors = [both.communicate(timeout=300)[1] for both in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], errors
    assert len((project.folder / "book/ran.txt").read_text()) == 1, "finished work was done twice"
    assert sum(error.count("rendering the pages") for error in errors) == 1
    assert left(project.folder / "_build") == []


def test_what_was_deleted_or_damaged_is_told_and_made_again(project):
    site, (kept,) = project.folder / "_build/html", (project.folder / "_build/store/executed/first").glob("*.ipynb")
    whole = (site / "index.html").read_bytes()
    kept.write_bytes(kept.read_bytes()[:500])
    (site / "index.html").unlink()
    code, out, error = project.call("build")
    assert code == 0 and str(kept) in error and "thrown away and made again" in error
    assert len((project.folder / "book/ran.txt").read_text()) == 2 and (site / "index.html").read_bytes() == whole
    (site / "index.html").write_text("of another tool")
    assert "index.html is not as it was rendered" in build_and_read(project)
    assert (site / "index.html").read_bytes() == whole
    (site / ".key").write_bytes(b"\xff\x00 garbage")
    assert ".key does not tell what was rendered" in build_and_read(project)
    assert json.loads((site / ".key").read_text())["key"] and "up to date" in build_and_read(project)


def build_and_read(project) -> str:
    code, _, error = project.call("build")
    assert code == 0, error
    return error


@pytest.mark.parametrize("content, problem", [
    (b"", "is no executed page"), (b'{"cells": [', "is no executed page"), (b"\xff\xfe", "is no executed page"),
    (b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "is no executed page"),
    (b'{"cells": [], "metadata": {"nblib": {"seconds": 1}}, "nbformat": 4, "nbformat_minor": 5}',
     "lacks commit, parameters, peak_gigabytes"),
], ids=["empty", "truncated", "no text", "without metadata", "without facts"])
def test_a_kept_page_that_is_none_is_told_by_name_and_thrown_away(tmp_path, capsys, content, problem):
    path = tmp_path / "abc.ipynb"
    assert not chapters.whole(path) and capsys.readouterr().err == ""
    path.write_bytes(content)
    assert not chapters.whole(path) and not path.exists()
    assert f"{path} {problem}" in capsys.readouterr().err


def test_a_failure_is_followed_by_its_cause(project):
    causes = {
        "kernel": ("import os\nos.kill(os.getpid(), 9)", r"failed in cell 3: its kernel was killed"),
        "worker": ("import os\nos.kill(os.getppid(), 9)", r"failed in its process, which was killed \(SIGKILL\)"),
        "disk": ("import os, resource\nfor limit in (resource.RLIMIT_FSIZE,):\n"
                 "    resource.prlimit(os.getppid(), limit, (2000, 2000))", r"failed in its process: .*: File too large"),
    }
    toc = (project.folder / "_toc.yml").read_text()
    try:
        for name, (cell, _) in causes.items():
            notebook(project.folder / f"book/{name}.ipynb", cell)
        entries = "".join(f"      - file: book/{name}\n" for name in causes)
        (project.folder / "_toc.yml").write_text(toc.rstrip() + "\n" + entries)
        words = [word for name in causes for word in ("--only", name)]
        code, out, error = project.call("build", *words)
    finally:
        (project.folder / "_toc.yml").write_text(toc)
        for name in causes:
            (project.folder / f"book/{name}.ipynb").unlink()
    assert code == 1 and "Traceback" not in error
    for name, (_, cause) in causes.items():
        assert re.search(f"chapter {name} {cause}", error), error


def test_a_store_that_can_not_be_written_is_told(project, tmp_path):
    (tmp_path / "a file").write_text("")
    environ = project.environment | {"NBLIB_STORE": str(tmp_path / "a file")}
    for words in (["build"], ["run", "first", "-o", str(tmp_path / "out.ipynb")]):
        done = subprocess.run([sys.executable, "-m", "nblib", *words], cwd=project.folder, env=environ, capture_output=True,
                              text=True)
        assert done.returncode == 1 and "a file" in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_waits_are_no_output_of_a_page():
    import nbformat.v4 as v4

    waited = "nblib: another process trains small_resnet-0, waiting for it\n"
    cell = v4.new_code_cell("train()", outputs=[v4.new_output("stream", name="stderr", text=waited),
                                                v4.new_output("stream", name="stderr", text=f"a\n{waited}b\n")])
    (cell,) = chapters.tidy(v4.new_notebook(cells=[cell])).cells
    assert [output.text for output in cell.outputs] == ["a\nb\n"]


@pytest.mark.parametrize("seconds", [0.3, 2, 7])
def test_three_times_ctrl_c_shows_no_traceback(project, seconds):
    (project.folder / "nblib/extra.py").write_text('"""Another module."""\n')
    try:
        process = project.start("build")
        time.sleep(seconds)
        for _ in range(3):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.015)
        out, error = process.communicate(timeout=30)
    finally:
        (project.folder / "nblib/extra.py").unlink()
    assert process.returncode == 130 and "interrupted" in error, f"{process.returncode}: {error}"
    assert "Traceback" not in error and "KeyboardInterrupt" not in error and out == ""


def test_an_interrupt_during_an_import_ends_in_one_line(tmp_path):
    (tmp_path / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('went on')\n")
    code = "from nblib.runs.environment import heed_interrupts\nheed_interrupts()\nimport slow\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(environment.ROOT)])})
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "nblib: interrupted\n")


def test_files_older_than_1980_are_packed(tmp_path):
    (tmp_path / "html").mkdir()
    (tmp_path / "html/index.html").write_text("old")
    os.utime(tmp_path / "html/index.html", (0, 0))
    assert book.pack(tmp_path / "html", tmp_path / "book.zip").stat().st_size > 0


def test_scripts_that_were_altered_are_told_where_they_cannot_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(vendor, "TARGET", tmp_path / "vendor")
    monkeypatch.setattr(vendor, "BIN", tmp_path)
    with pytest.raises(WorkFailed, match="require.js.*not to be had"):
        book.bring_scripts()
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    with pytest.raises(WorkFailed, match="require.js.*ENOTFOUND.*With a network"):
        book.bring_scripts()


SET_UP = """
    import sys
    from pathlib import Path
    from nblib.runs import environment
    home = environment.HOME = Path(sys.argv[1])
    environment.STAMP = home / "stamp"
    write = "import sys, time\\nfrom pathlib import Path\\nend = time.monotonic() + 3\\nPath(sys.argv[1], 'begun').touch()\\n" \\
            "while time.monotonic() < end: Path(sys.argv[1], str(time.monotonic())).touch()"
    begin = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    environment.steps = lambda: [[sys.executable, "-m", "venv", "--clear", "--without-pip", home],
                                 *([[sys.executable, "-c", begin, "-c", write, home]] if sys.argv[2:] else [])]
    with environment.set_up_lock() as held:
        environment.install(held)
"""


def test_a_set_up_that_was_killed_and_called_again_at_once_works(tmp_path):
    def start(*words: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", textwrap.dedent(SET_UP), tmp_path / ".venv", *words], text=True,
                                cwd=store.ROOT, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(store.ROOT)})

    killed = start("and write")
    until((tmp_path / ".venv/begun").exists, killed)
    family = psutil.Process(killed.pid).children(recursive=True)
    killed.kill()
    again = start()
    error = again.communicate(timeout=60)[1]
    assert again.returncode == 0 and "Traceback" not in error, error
    assert "another set-up is running, waiting for it" in error and not any(map(at_work, family))
    assert (tmp_path / ".venv/stamp").exists() and not list((tmp_path / ".venv").glob("*.*[0-9]"))
    killed.communicate()


def test_a_checkout_that_can_not_be_written_says_what_works(monkeypatch, capsys, tmp_path):
    from nblib.__main__ import arguments
    from nblib.runs import commands

    def refuse(dir=None):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(commands.tempfile, "TemporaryFile", refuse)
    assert commands.act(arguments().parse_args(["build"])) == 2
    said = capsys.readouterr().err
    assert "_build" in said and "Read-only file system" in said and "run NAME -o FILE" in said


def test_interrupts_that_follow_at_once_are_one(monkeypatch):
    monkeypatch.setattr(environment, "_interrupted_at", float("-inf"))
    with pytest.raises(KeyboardInterrupt):
        environment.interrupted()
    environment.interrupted()
    monkeypatch.setattr(environment, "_interrupted_at", time.monotonic() - 2)
    with pytest.raises(KeyboardInterrupt):
        environment.interrupted()
