"""Files whole or absent, keys from content, locks that die with their holder."""
import multiprocessing
import os
import resource
import signal
import time

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
