"""Files whole or absent, keys from content, locks that die with their holder."""
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psutil
import pytest
import torch

from nblib import store


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep/file.txt"
    store.write(path, "first")
    with pytest.raises(RuntimeError), store.atomic(path) as part:
        part.write_text("half of the sec")
        raise RuntimeError
    assert path.read_text() == "first"
    store.write(path, b"second")
    assert path.read_bytes() == b"second"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"], "a partial file was left"


def _fill(path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as a full disk would, the write fails half way
    try:
        store.write(path, b"x" * 100_000)
    except OSError:
        os._exit(3)


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.txt"
    store.write(path, "first")
    process = multiprocessing.get_context("fork").Process(target=_fill, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 3
    assert path.read_text() == "first" and len(list(tmp_path.iterdir())) == 1


def test_keys_follow_the_content(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("one")
    key = store.key(file, {"b": 1, "a": 2}, torch.ones(2))
    assert key == store.key(file, {"a": 2, "b": 1}, torch.ones(2)) and len(key) == 16
    assert key != store.key(file, {"a": 2, "b": 1}, torch.ones(2, 1)), "a shape counts"
    assert key != store.key(file, {"a": 2, "b": 3}, torch.ones(2))
    assert store.key("ab", "c") != store.key("a", "bc")
    file.write_text("two")
    assert key != store.key(file, {"a": 2, "b": 1}, torch.ones(2))


def _hold(path, held) -> None:
    with store.lock(path):
        held.set()
        time.sleep(60)


def test_a_killed_holder_leaves_nothing_locked(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "thing", held))
    process.start()
    assert held.wait(10)
    os.kill(process.pid, signal.SIGKILL)
    start = time.monotonic()
    with store.lock(tmp_path / "thing"):
        assert time.monotonic() - start < 10
    process.join()


def _begin(script: str, *words: object) -> subprocess.Popen:
    """Start a script of Python that says "begun" once it is where the test wants it."""
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), *map(str, words)], cwd=store.ROOT, text=True,
                               stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(store.ROOT)})
    assert process.stdout.readline() == "begun\n"
    return process


HALF_WAY = """
    import sys, time
    from pathlib import Path
    from nblib import store
    with store.atomic(Path(sys.argv[1]) / "one.txt") as part, store.scratch() as folder:
        part.unlink()  # writers of weights put another file in its place
        part.write_text("half")
        (folder / "file").write_text("half")
        print("begun", flush=True)
        time.sleep(600)
"""


def test_what_a_killed_process_left_is_removed_at_the_next_use_and_what_a_living_one_has_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path / "store"))
    killed, living = (_begin(HALF_WAY, tmp_path) for _ in range(2))
    killed.kill()
    killed.communicate()
    (tmp_path / ".of_others.part").write_text("")
    store.write(tmp_path / "two.txt", "two")
    with store.scratch() as mine:
        parts = [path for path in tmp_path.glob(".*.part") if path.name != ".of_others.part"]
        folders = [path for path in (tmp_path / "store/scratch").iterdir() if path.is_dir() and path != mine]
        assert len(parts) == len(folders) == 1 and (tmp_path / ".of_others.part").exists()
    living.kill()
    living.communicate()
    store.write(tmp_path / "one.txt", "whole")
    with store.scratch():
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".of_others.part", "one.txt", "store", "two.txt"]
    assert not list((tmp_path / "store/scratch").iterdir())


def test_a_files_permissions_are_the_users_choice(tmp_path):
    before = os.umask(0o077)
    try:
        store.write(tmp_path / "private.txt", "")
        os.umask(0o022)
        store.write(tmp_path / "public.txt", "")
    finally:
        os.umask(before)
    assert [(tmp_path / f"{name}.txt").stat().st_mode & 0o777 for name in ("private", "public")] == [0o600, 0o644]


def test_a_folder_is_replaced_and_never_gone(tmp_path):
    place, missed, done = tmp_path / "html", [], threading.Event()

    def look() -> None:
        while not done.is_set():
            missed.extend([] if os.path.exists(place / "index.html") else [time.monotonic()])

    for number in range(200):
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        (fresh / "index.html").write_text(str(number))
        store.put_folder(fresh, place)
        if number == 0:
            reader = threading.Thread(target=look)
            reader.start()
    done.set()
    reader.join()
    assert (place / "index.html").read_text() == "199" and os.listdir(tmp_path) == ["html"]
    assert not missed or sys.platform != "linux"


def test_where_the_system_cannot_swap_a_folder_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_exchange", lambda one, other: False)
    for text in ("first", "second"):
        (tmp_path / "fresh").mkdir()
        (tmp_path / "fresh/index.html").write_text(text)
        store.put_folder(tmp_path / "fresh", tmp_path / "html")
    assert (tmp_path / "html/index.html").read_text() == "second" and os.listdir(tmp_path) == ["html"]
    shutil.move(tmp_path / "html", tmp_path / ".html.old")  # killed between its two renames
    store.restore_folder(tmp_path / "html")
    assert (tmp_path / "html/index.html").read_text() == "second"


def test_who_waits_says_for_what(tmp_path, capsys):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "thing", held))
    process.start()
    assert held.wait(10)
    threading.Timer(1, process.kill).start()
    with store.lock(tmp_path / "thing", "another is at work"):
        assert capsys.readouterr().err == "nblib: another is at work, waiting for it\n"
    process.join()
    with store.lock(tmp_path / "thing", "another is at work"):
        assert capsys.readouterr().err == ""


PARENT = """
    import subprocess, sys
    from nblib import store
    child = subprocess.Popen(store.tied("tests.test_store:busy", "word"), stdout=subprocess.PIPE)
    child.stdout.readline()
    print("begun", flush=True)
    print(child.pid, flush=True)
    child.wait()
"""


def busy() -> None:
    """Hold the interpreter in a loop, deaf to signals that can be caught, once the process may be killed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert sys.argv[1:] == ["word"]
    print(flush=True)
    while True:
        pass


@pytest.mark.parametrize("system", ["linux", "other"])
def test_a_tied_process_ends_with_the_one_that_began_it(system, monkeypatch):
    script = PARENT if system == "linux" else PARENT.replace("from nblib import store", textwrap.dedent("""
    from nblib import store
    store.TIED = store.TIED.replace("store.end_with", "store.tie = lambda: None; store.end_with")""").replace("\n", "\n    "))
    parent = _begin(script)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 5
    while psutil.pid_exists(child) and not _is_zombie(child):
        assert time.monotonic() < end, "it is still at work"
        time.sleep(0.1)


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
