"""Fetching whole or not at all from a server on this machine, and what lies here."""
import functools
import hashlib
import http.server
import io
import tarfile
import threading
from pathlib import Path

import pytest

from nblib.data import describe, fetch, files_key, verify
from nblib.data.files import sources
from tests.fixtures.pictures import class_folders, pets, picture


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one file, with ranges, and notes what was asked for; `cut` is after how many bytes it hangs up."""

    def do_GET(self):
        state = self.server.state
        asked = self.headers.get("Range")
        state["asked"].append(asked)
        start = int(asked[6:-1]) if asked and state["ranges"] else 0
        if asked and state["ranges"] and start >= len(state["content"]):
            return self.send_error(416)
        self.send_response(206 if start else 200) if self.path == "/set.tar.gz" else self.send_error(404)
        body = state["content"][start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:state["cut"]])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as pack:
        for name in ("set/train/a/1.png", "set/val/a/1.png"):
            picture(tmp_path / "made" / name)
            pack.add(tmp_path / "made" / name, name)
    served = http.server.HTTPServer(("127.0.0.1", 0), Server)
    served.state = {"content": buffer.getvalue(), "cut": None, "ranges": True, "asked": []}
    served.address = f"http://127.0.0.1:{served.server_port}/set.tar.gz"
    served.handle_error = lambda *_: None  # a client that hangs up is part of the tests
    thread = threading.Thread(target=functools.partial(served.serve_forever, 0.01))
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture
def source(server, monkeypatch):
    md5 = hashlib.md5(server.state["content"]).hexdigest()
    made = sources.Source("two pictures", "1 + 1", "pictures", ((server.address, md5),), "set")
    monkeypatch.setitem(sources.SOURCES, "imagenette", made)
    return made


def nothing_half_done(root: Path) -> bool:
    return not (root / "pictures").exists() and not list(root.glob(".*unpacking"))


def test_fetch_downloads_verifies_and_unpacks(tmp_path, server, source):
    assert fetch("imagenette", tmp_path / "root") == tmp_path / "root/pictures"
    assert (tmp_path / "root/pictures/val/a/1.png").is_file()
    assert not list((tmp_path / "root/.downloads").iterdir())
    fetch("imagenette", tmp_path / "root")  # there already: nothing is asked for
    assert server.state["asked"] == [None]


@pytest.mark.parametrize("ranges", [True, False], ids=["resumes", "begins again"])
def test_a_download_that_broke_off_goes_on(tmp_path, server, source, ranges):
    server.state.update(cut=100, ranges=ranges)
    with pytest.raises(RuntimeError, match=r"set.tar.gz could not be downloaded from http.*by hand: put it at"):
        fetch("imagenette", tmp_path)
    assert (tmp_path / ".downloads/set.tar.gz.part").stat().st_size == 100 and nothing_half_done(tmp_path)
    server.state.update(cut=None)
    assert fetch("imagenette", tmp_path).is_dir()
    assert server.state["asked"] == [None, "bytes=100-"]


def test_a_finished_part_and_a_file_put_there_by_hand_are_taken(tmp_path, server, source):
    waiting = tmp_path / ".downloads"
    waiting.mkdir()
    (waiting / "set.tar.gz.part").write_bytes(server.state["content"])
    assert fetch("imagenette", tmp_path).is_dir()
    other = tmp_path / "other/.downloads"
    other.mkdir(parents=True)
    (other / "set.tar.gz").write_bytes(server.state["content"])
    before = len(server.state["asked"])
    assert fetch("imagenette", tmp_path / "other").is_dir() and len(server.state["asked"]) == before


def test_another_content_than_published_is_refused_and_removed(tmp_path, server, source):
    server.state["content"] = b"x" * 500
    with pytest.raises(RuntimeError, match="not the published file: its MD5 is"):
        fetch("imagenette", tmp_path)
    assert not list((tmp_path / ".downloads").iterdir()) and nothing_half_done(tmp_path)


def test_no_server_and_no_such_file(tmp_path, server, source, monkeypatch):
    for address in (server.address + ".old", "http://127.0.0.1:9/set.tar.gz"):
        monkeypatch.setitem(sources.SOURCES, "imagenette", sources.Source("", "", "pictures", ((address, "0" * 32),)))
        with pytest.raises(RuntimeError, match="could not be downloaded"):
            fetch("imagenette", tmp_path)
        assert nothing_half_done(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, server, source):
    (tmp_path / ".downloads").mkdir()
    (tmp_path / ".downloads/set.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(RuntimeError, match="the disk is full. Make room and try again"):
        fetch("imagenette", tmp_path)
    assert nothing_half_done(tmp_path)


def test_an_archive_that_does_not_unpack_leaves_nothing(tmp_path, server, source, monkeypatch):
    server.state["content"] = server.state["content"][:-30]
    md5 = hashlib.md5(server.state["content"]).hexdigest()
    monkeypatch.setitem(sources.SOURCES, "imagenette",
                        sources.Source("", "", "pictures", ((server.address, md5),), "set"))
    with pytest.raises(RuntimeError, match="could not be unpacked"):
        fetch("imagenette", tmp_path)
    assert nothing_half_done(tmp_path)


def test_sets_that_need_no_files_or_a_hand(tmp_path):
    assert fetch("shapes", tmp_path) is None and verify("digits", tmp_path) == []
    for name in ("stanford_cars", "cub200", "imagenet"):
        with pytest.raises(RuntimeError, match=f"{name} cannot be fetched; put into"):
            fetch(name, tmp_path)
    with pytest.raises(ValueError, match="nearest: 'cifar10'"):
        fetch("cifar", tmp_path)
    with pytest.raises(RuntimeError, match="was not found under"):
        verify("cub200", tmp_path)


def test_describe_says_what_is_there(tmp_path):
    class_folders(tmp_path / "cub200", {"train": 1})
    pets(tmp_path)
    present = {name: there for name, _, _, _, there in describe(tmp_path)}
    assert {name for name, there in present.items() if there} == {
        "shapes", "digits", "photographs", "cub200", "oxford_pets"}


def test_the_key_of_a_sets_files_follows_them(tmp_path):
    assert [files_key(name, tmp_path) for name in ("shapes", "photographs", "oxford_pets")] == [""] * 3
    pets(tmp_path)
    first = files_key("oxford_pets", tmp_path)
    assert first == files_key("oxford_pets", tmp_path)
    (tmp_path / "oxford-iiit-pet/annotations/test.txt").write_text("Bengal_2 1 1 1\n")
    assert files_key("oxford_pets", tmp_path) not in ("", first)
    class_folders(tmp_path / "mine", {"train": 1})
    assert files_key(f"folder:{tmp_path / 'mine'}") != files_key(f"folder:{tmp_path / 'mine/train'}") != ""
