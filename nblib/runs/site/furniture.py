"""What every rendered page gets besides its text: a description, a link to the repository, sections to search, mended markup.

Sphinx loads this as an extension, named in `_config.yml`.
"""
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from nblib import store

LONGEST = 160  # letters of a description that search engines show
ABOUT = "An executable book on how neural networks compute: five papers re-run, measured, and tested where the truth is known."
MENDED = [
    # a browser refuses to load these ahead from a folder, and writes an error for each
    (re.compile(r'<link rel="preload" as="font"[^>]*>\s*'), ""),
    # entries of a list must be what a list has
    (re.compile(r'role="doc-biblioentry"'), 'role="listitem"'),
    # what opens and closes something says what, and its own words are better than the same ones everywhere
    (re.compile(r'<summary>(?=<span class="toctree-toggle")'), '<summary aria-label="pages below this one">'),
    (re.compile(r'<summary aria-label="Toggle hidden content">'), "<summary>"),
    # a header without text is none
    (re.compile(r'<th class="head"><p></p></th>'), "<td></td>"),
]


def link_repository(app: Sphinx, config: Config) -> None:
    """Link every page to the repository whose address `CITATION.cff` gives as `repository-code`; without one, to none."""
    address = yaml.safe_load((store.ROOT / "CITATION.cff").read_text()).get("repository-code")
    if address:
        config.html_theme_options |= {"repository_url": address, "use_repository_button": True, "use_issues_button": True}


def described(text: str) -> str:
    """Return the beginning of a text, cut after a sentence or else after a word, at most `LONGEST` letters."""
    text = " ".join(text.split())
    if len(text) <= LONGEST:
        return text
    start = text[: LONGEST + 1]
    end = max(start.rfind(mark) for mark in (". ", "? ", "! "))
    return text[: end + 1] if end > 50 else start[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def describe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Give a page the description that search engines and previews show: its first paragraph."""
    paragraphs = () if doctree is None else (
        node.astext() for node in doctree.findall(nodes.paragraph) if isinstance(node.parent, nodes.section)
    )
    text = described(next((text for text in paragraphs if len(text) > 40), ABOUT))
    context["metatags"] = f'{context.get("metatags", "")}\n<meta name="description" content="{escape(text)}" />'
    if pagename == "search":
        app.add_js_file("sections.js")
        app.add_js_file("search.js")


def sections(document: nodes.document) -> Iterator[tuple[str, str, str]]:
    """Yield each section and each term of a page as anchor, title, and text without that of the sections inside it."""
    texts: dict[nodes.Element, list[str]] = {}
    for text in document.findall(nodes.Text):
        above = text.parent
        while above is not None and not (isinstance(above, (nodes.raw, nodes.comment)) or _heading(above)):
            above = above.parent
        if above is not None and (heading := _heading(above)):
            texts.setdefault(heading, []).append(text.astext())
    for heading, parts in texts.items():
        owner = heading if heading["ids"] else heading.parent
        yield owner["ids"][0], heading.astext(), " ".join(parts)


def _heading(node: nodes.Element) -> nodes.Element | None:
    """Return the title of a section, or the term of an entry in the glossary, or None."""
    kind = {nodes.section: nodes.title, nodes.definition_list_item: nodes.term}.get(type(node))
    found = node.next_node(kind) if kind else None
    return found if found is not None and (kind is nodes.title or found["ids"]) else None


def write_sections(app: Sphinx) -> None:
    """Write the words of each section, so that a search ends at the section and not at the head of its page."""
    language = app.builder.indexer.lang
    pages = {}
    for name in sorted(app.env.found_docs):
        rows = []
        for anchor, title, text in sections(app.env.get_doctree(name)):
            words = {language.stem(word).lower() for word in language.split(text) if language.word_filter(word)}
            rows.append([anchor, title, " ".join(sorted(words))])
        pages[name] = rows
    content = f"const SECTIONS = {json.dumps(pages, ensure_ascii=False)};\n"
    store.write(Path(app.outdir, "_static/sections.js"), content)


def mend(app: Sphinx) -> None:
    """Mend in every page what the theme and other extensions get wrong."""
    for path in Path(app.outdir).rglob("*.html"):
        old = text = path.read_text(encoding="utf-8")
        for pattern, replacement in MENDED:
            text = pattern.sub(replacement, text)
        if text != old:
            store.write(path, text)


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Do what needs all pages to be there."""
    if exception is None and app.builder.format == "html":
        write_sections(app)
        mend(app)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx what to call when."""
    app.connect("config-inited", link_repository)
    app.connect("html-page-context", describe)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
