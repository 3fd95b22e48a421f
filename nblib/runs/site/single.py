"""One executed notebook as one page: looks, pictures, formulas and players lie in the file, which opens without a network."""
import base64
import mimetypes
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import yaml
from bs4 import BeautifulSoup

from nblib import store
from nblib.runs import book
from nblib.runs.parameters import BOOK, WorkFailed
from nblib.runs.site import vendor

URL = re.compile(r"url\(\s*['\"]?(?!data:|#)([^'\")]+)['\"]?\s*\)")
SECOND_CHOICE = re.compile(r",\s*url\([^)]*\)\s*format\(['\"]?truetype['\"]?\)")  # of a font that is there as woff2
OF_THE_BOOK = (  # what leads to other pages; the theme's script wants it to be there
    ".bd-sidebar-primary, .primary-toggle, .search-button__wrapper, .search-button__button, .dropdown-download-buttons, "
    ".prev-next-area"
)
AHEAD = "link[rel=index], link[rel=search], link[rel=next], link[rel=prev], link[rel=preload]"


def write(executed: Path, chapter: str, out: Path) -> None:
    """Write an executed notebook as one page that loads nothing, whole or not at all.

    It looks as in the book. Links to other pages of the book become plain text.

    Raises:
        WorkFailed: the renderer failed.
    """
    with store.scratch() as stage:
        _stage(executed, chapter, stage)
        command = store.tied("jupyter_book.cli.main:main", "build", str(stage), "--keep-going", "-q")
        with store.deaf():
            done = subprocess.run(command, capture_output=True, text=True)
        page = stage / f"_build/html/book/{chapter}.html"
        if done.returncode or not page.exists():
            raise WorkFailed(f"the page could not be rendered:\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}")
        store.write(out, alone(page))


def _stage(executed: Path, chapter: str, stage: Path) -> None:
    """Write a book of this page alone into the folder `stage`."""
    left_out = shutil.ignore_patterns("axe.js")
    for name in ("_static", "images"):
        if (BOOK / name).exists():
            shutil.copytree(BOOK / name, stage / "book" / name, ignore=left_out, copy_function=shutil.copyfile)
    shutil.copyfile(BOOK / "references.bib", stage / "book/references.bib")
    notebook = book.treat_solutions(nbformat.read(executed, 4), "folded")
    nbformat.write(book.split_figures(book.fold_furniture(notebook)), stage / f"book/{chapter}.ipynb")
    (stage / "_toc.yml").write_text(f"format: jb-book\nroot: book/{chapter}\n")
    config = yaml.safe_load((store.ROOT / "_config.yml").read_text())
    config["execute"] = {"execute_notebooks": "off"}
    config.pop("logo")  # a link to the first page
    (stage / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False))


def alone(path: Path) -> str:
    """Return a rendered page with all that it loads in it, and without what leads to pages that it has not beside it."""
    page = BeautifulSoup(path.read_text(), "html.parser")
    page.head.append(page.new_tag("style", string=f"{OF_THE_BOOK} {{ display: none !important }}"))
    for found in page.select(AHEAD):
        found.decompose()
    page.title.string = page.h1.find(string=True).strip()
    places = {tag["id"] for tag in page.select("[id]")} | {""}
    for link in page.select("a[href]"):
        address = urlsplit(link["href"])
        if not address.scheme and (address.path or unquote(address.fragment) not in places):
            link.unwrap()
    for tag, attribute in [*((tag, "src") for tag in page.select("[src]")),
                           *((tag, "href") for tag in page.select("link[href]"))]:
        if not urlsplit(tag[attribute]).scheme:
            tag[attribute] = _as_data(_beside(path, tag[attribute]))
    return str(page)


def _beside(path: Path, address: str) -> Path:
    """Return the file that a relative address in the file `path` means."""
    return path.parent / unquote(urlsplit(address).path)


def _as_data(path: Path) -> str:
    """Return a file as an address that holds it, with what it loads itself."""
    content = path.read_bytes()
    if path.suffix == ".css":
        text = SECOND_CHOICE.sub("", content.decode())
        content = URL.sub(lambda found: f'url("{_as_data(_beside(path, found[1]))}")', text).encode()
    if path.name == "embed-amd.js":  # the players' icons
        for font in vendor.TARGET.glob("*.woff2"):
            content = re.sub(rb'\w\.p\+"' + re.escape(font.name).encode() + b'"', f'"{_as_data(font)}"'.encode(), content)
    kind = {".js": "text/javascript", ".woff2": "font/woff2"}.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
