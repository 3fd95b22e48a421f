"""A run as one page: it holds all that it shows, may be moved anywhere, and works with the network cut."""
import os
import re
import shutil
import signal
import time

import nbformat
import pytest

from nblib.runs.site import single
from nblib.store import ROOT
from tests.fixtures.project import Project
from tests.runs.test_site import assets, open_page

TEXT = """## Parts

A {term}`saliency map`, [another page](running.md), [how it ends](#the-end), [the picture](#fig-dot), $a^2 + b^2$ and
{doc}`running`.

```{figure} images/dot.png
:name: fig-dot
:alt: A dot in the middle of a white square.

A dot.
```

:::{admonition} Predict
:class: tip
Which one?
:::

```{exercise} One
:label: exercise-one
What is it?
```

## The end
"""
PLAYED = """import matplotlib.pyplot as plt
from nblib.figures import frame_player
from nblib.runs.notebook import say
def frame(number):
    figure = plt.figure(figsize=(1, 1))
    figure.text(0.5, 0.5, str(number))
    plt.close(figure)
    return figure
frame_player(frame, labels=["none", "one"], alts=["the number 0", "the number 1"], description="number")"""
SAID = "say(f'The seed is **{run.seed}**, see [the table](parameters.md).')"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("single") / "Zwei Wörter", {"first": [PLAYED, SAID], "bad": ["1 / 0"],
                   "slow": ["import pathlib, time\npathlib.Path('waiting').touch()\ntime.sleep(600)"]})
    (made.folder / "book/images").mkdir()
    shutil.copy(ROOT / "book/images/readme.png", made.folder / "book/images/dot.png")
    path = made.folder / "book/first.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.insert(3, nbformat.v4.new_markdown_cell(TEXT, id="text"))
    nbformat.write(notebook, path)
    return made


@pytest.fixture(scope="module")
def page(project, tmp_path_factory):
    """The page, alone in a folder far from the project."""
    out = tmp_path_factory.mktemp("elsewhere") / "report.html"
    code, said, error = project.call("run", "first", "-p", "seed", "7", "-o", str(out))
    assert code == 0 and said.strip() == str(out), error
    assert os.listdir(out.parent) == ["report.html"]
    return out


def test_it_loads_nothing_and_shows_no_directive(page):
    text = page.read_text()
    for address in assets(text).loaded:
        assert address.startswith("data:"), address[:80]
    assert "<title>First</title>" in text and "<strong>7</strong>" in text
    article = text.split('<article class="bd-article"')[1].split("</article>")[0]
    for raw in ("{figure}", "{admonition}", "{exercise}", "{term}", "{doc}", ":::", ":name:", "system-message"):
        assert raw not in article, raw


def test_links_lead_somewhere_or_are_plain_text(page):
    text = page.read_text()
    places = set(re.findall(r'\bid="([^"]+)"', text))
    article = text.split('<article class="bd-article"')[1].split("</article>")[0]
    links = re.findall(r'<a [^>]*href="([^"]*)"', article)
    assert "#the-end" in links and "#fig-dot" in links
    assert all(link[1:] in places for link in links), links
    for said in ("another page", "saliency map", "the table"):
        assert said in article and not re.search(rf"<a [^>]*>[^<]*(<[^a/][^>]*>)*{said}", article), said


def test_it_works_with_the_network_cut(page, browser):
    tab, troubles = open_page(browser, page)
    files = []
    tab.on("request", lambda request: files.append(request.url) if not request.url.startswith("data:") else None)
    try:
        tab.reload()
        tab.wait_for_selector(".nblib-player img:visible", timeout=60000)
        tab.wait_for_selector("mjx-container svg", state="attached", timeout=60000)
        before = tab.locator(".nblib-player img:visible").get_attribute("src")
        tab.locator(".nblib-player [role=slider]").first.focus()
        tab.keyboard.press("ArrowRight")
        tab.wait_for_function("() => document.querySelector('.nblib-player [role=slider]').getAttribute('aria-valuetext') == 'one'")
        tab.wait_for_timeout(300)
        assert tab.locator(".nblib-player img:visible").get_attribute("src") != before, "the player stands still"
        assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)"), "a picture is missing"
        assert not tab.get_by_text("run = start").is_visible(), "what is folded in the book is open here"
        for elsewhere in ("search", "sidebar-primary"):
            assert not tab.locator(f".bd-header-article [class*={elsewhere}]:visible").count(), elsewhere
        tab.keyboard.press("Control+k")
        tab.wait_for_timeout(300)
        assert not tab.locator("input[type=search]:visible").count(), "there is nothing to search"
        for width in (390, 1280):
            tab.set_viewport_size({"width": width, "height": 900})
            tab.wait_for_timeout(200)
            assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 1
        assert not troubles and files == [page.as_uri()], (troubles[:3], files[:3])
    finally:
        tab.close()


def test_it_is_read_from_the_store_the_second_time(project, page):
    before = page.read_text()
    kept = list((project.folder / "_build/store/executed/first").glob("*.ipynb"))
    assert len(kept) == 1
    made = kept[0].stat().st_mtime_ns
    assert project.call("run", "first", "-p", "seed", "7", "-o", str(page))[0] == 0
    assert kept[0].stat().st_mtime_ns == made and len(page.read_text()) == len(before)


def test_a_run_that_fails_or_is_stopped_leaves_the_page_that_was_there(project, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("before")
    code, _, error = project.call("run", "bad", "-o", str(out))
    assert code == 1 and "ZeroDivisionError" in error and ".failed.ipynb" in error and "Traceback" not in error
    process = project.start("run", "slow", "-o", str(out))
    while not (project.folder / "book/waiting").exists():
        assert process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert out.read_text() == "before" and os.listdir(tmp_path) == ["page.html"]


def test_a_file_that_a_page_loads_lies_in_it(tmp_path):
    (tmp_path / "page.html").write_text('<html><head><title>x</title><link rel="stylesheet" href="a%20b.css?v=1"></head>'
                                        '<body><h1>Name<a href="#x">#</a></h1><a href="c.html">there</a></body></html>')
    (tmp_path / "a b.css").write_text("p { background: url('dot.svg'); mask: url(data:,x) }")
    (tmp_path / "dot.svg").write_text("<svg/>")
    text = single.alone(tmp_path / "page.html")
    assert 'href="data:text/css;base64,' in text and "c.html" not in text and "there" in text
    with pytest.raises(FileNotFoundError):
        (tmp_path / "dot.svg").unlink()
        single.alone(tmp_path / "page.html")
