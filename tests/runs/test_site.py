"""The built site: complete, with nothing from elsewhere, alive with the network cut."""
import ast
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import nbformat
import pytest

from nblib.runs import chapters, parameters
from nblib.runs.site import furniture, vendor
from nblib.store import ROOT

PAGES = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text())
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src"}


class Assets(HTMLParser):
    """Collects what a page loads, and its images."""

    def __init__(self):
        super().__init__()
        self.loaded, self.images = [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in LOADED and attributes.get(LOADED[tag]):
            self.loaded.append(attributes[LOADED[tag]])
        if tag == "link" and not {"canonical", "search", "index", "next", "prev", "author"} & set((attributes.get("rel") or "").split()):
            self.loaded.append(attributes.get("href") or "")
        if tag == "img":
            self.images.append(attributes)


def assets(page: str) -> Assets:
    found = Assets()
    found.feed(page)
    return found


@pytest.fixture(scope="module", params=PAGES)
def page(request, book):
    return book / f"{request.param}.html"


def test_a_page_is_there_and_loads_nothing_from_elsewhere(page, book):
    text = page.read_text()
    found = assets(text)
    for address in found.loaded:
        assert not re.match(r"(https?:)?//", address), f"{page.name} loads {address}"
        if not address.startswith("data:") and address:
            local = (page.parent / address.split("?")[0].split("#")[0]).resolve()
            assert local.exists(), f"{page.name} wants {address}, which is not there"
    assert "system-message" not in text, "the renderer left an error in the page"


def test_images_have_alternative_texts(page):
    for image in assets(page.read_text()).images:
        alt = image.get("alt") or ""
        assert "logo" in (image.get("class") or "") or len(alt) > 10, f"{page.name}: {image.get('src', '')[:80]}: alt {alt!r}"
        assert not alt.startswith(("_images", "../_images")), f"{page.name}: the alternative text is a file's name"


def tables_called(source: str) -> int:
    """Count the calls that make a table in a cell, those inside its functions left out."""
    statements = [item for item in ast.parse(source).body if not isinstance(item, ast.FunctionDef)]
    calls = [node for item in statements for node in ast.walk(item) if isinstance(node, ast.Call)]
    names = [node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "") for node in calls]
    return sum(name in ("table", "claims_table", "comparison") for name in names)


@pytest.mark.parametrize("name", parameters.chapters())
def test_every_table_is_shown(name, book):
    defaults = {item.name: item.default for item in parameters.declared(parameters.source(name)).values()}
    for cell in nbformat.read(chapters.kept(name, defaults), 4).cells:
        if cell.cell_type == "code" and (called := tables_called(cell.source)):
            shown = sum('class="nblib-table"' in item.get("data", {}).get("text/html", "") for item in cell.outputs)
            assert shown >= called, f"{name}, cell {cell.id}: {called} tables are made and {shown} shown"


def test_a_table_that_nobody_sees_is_counted():
    assert tables_called("for row in rows:\n    table(row)\nfigures.table(rows)") == 2
    assert tables_called("def show():\n    table(rows)\nprint(1)") == 0


def test_styles_load_nothing_from_elsewhere(book):
    for path in book.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import )\s*['\"]?([^'\")\s]+)", path.read_text(errors="ignore")):
            assert not re.match(r"(https?:)?//", address), f"{path.name} loads {address}"


def test_a_page_says_what_it_is(page, book):
    text = page.read_text()
    description = re.search(r'<meta name="description" content="([^"]*)"', text)
    assert description and 40 <= len(description[1]) <= 160, f"{page.name}: {description}"
    icon = re.search(r'<link rel="icon" href="([^"]+)"', text)
    assert icon and (page.parent / icon[1]).resolve().exists()
    assert (book / "_static/favicon.svg").exists() and not list(book.rglob("axe.js")), "what tests the pages is in them"


def test_descriptions_end_where_a_sentence_does():
    sentence = "A map gives each pixel of an image a number. "
    assert furniture.described(sentence * 2) == (sentence * 2).strip()
    assert furniture.described(sentence * 9) == (sentence * 3).strip()
    cut = furniture.described("word " * 60)
    assert cut.endswith("word …") and len(cut) <= 160


@pytest.mark.parametrize("line, linked", [("", False), ("repository-code: https://example.org/us/book\n", True)])
def test_pages_link_to_the_repository_where_there_is_one(monkeypatch, tmp_path, line, linked):
    (tmp_path / "CITATION.cff").write_text("title: Pathways\n" + line)
    monkeypatch.setattr(furniture.store, "ROOT", tmp_path)
    config = SimpleNamespace(html_theme_options={"show_toc_level": 2})
    furniture.link_repository(None, config)
    assert config.html_theme_options.get("repository_url") == ("https://example.org/us/book" if linked else None)
    assert config.html_theme_options["show_toc_level"] == 2


def open_page(browser, path, query=""):
    """Open a page from its folder and return it with what went wrong in it."""
    tab = browser.new_page()
    troubles = []
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    tab.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
    tab.goto(path.as_uri() + query, wait_until="load")
    return tab, troubles


@pytest.fixture(scope="module")
def opened(page, browser):
    """One page, opened once with its formulas and players drawn, and what went wrong in it."""
    tab, troubles = open_page(browser, page)
    if "jupyter.widget-view" in page.read_text():
        tab.wait_for_selector(".nblib-player img:visible", timeout=60000)
        tab.wait_for_function("() => [...document.querySelectorAll('.nblib-player')].every(p => p.querySelector('img'))")
    if "math notranslate" in page.read_text():
        tab.wait_for_selector("mjx-container svg", state="attached", timeout=60000)
    tab.wait_for_timeout(500)
    yield tab, troubles
    tab.close()


def test_every_page_opens_with_the_network_cut(opened):
    tab, troubles = opened
    assert tab.locator("article h1").first.is_visible()  # the first of all is for print only
    assert not troubles, troubles[:3]


def set_width(tab, width):
    """Make the window this wide, and wait until the page has been drawn so: its scripts act on what is drawn."""
    tab.set_viewport_size({"width": width, "height": 900})
    tab.bring_to_front()
    tab.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(drawn, 100))))")


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_page(opened, width):
    tab, _ = opened
    set_width(tab, width)
    try:
        beyond = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond <= 1, f"{beyond} pixels wider than the window"
        code = tab.evaluate(SCROLLING, ".highlight pre") if width == 1280 else []
        assert not code, f"code that is cut off: {code}"
        cut = tab.evaluate(CUT, "article table, article pre, article img, article mjx-container")
        assert not cut, f"cut off and not to be scrolled to: {cut}"
    finally:
        set_width(tab, 1280)


ALIKE = "pre, .math, dt.sig, dl.field-list, tbody tr:nth-child(n + 4)"
SCROLLING = """selector => [...document.querySelectorAll(selector)]
    .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.textContent.slice(0, 60))"""
CUT = """selector => [...document.querySelectorAll(selector)].filter(box => {
    const right = box.getBoundingClientRect().right;
    for (let above = box; above && right > innerWidth + 1; above = above.parentElement)
        if (["auto", "scroll"].includes(getComputedStyle(above).overflowX)) return false;
    return right > innerWidth + 1;
}).map(box => box.outerHTML.slice(0, 80))"""


def violations(tab, options):
    """Return what axe finds wrong with a page, an element a line."""
    if not tab.evaluate("typeof axe === 'object'"):
        tab.evaluate((vendor.TARGET / "axe.js").read_text())
    found = tab.evaluate("options => axe.run(document, options)", {"resultTypes": ["violations"], "preload": False} | options)
    return "\n".join(f"{rule['id']}: {node['html'][:120]}" for rule in found["violations"] for node in rule["nodes"][:5])


def lasting_violations(tab, options):
    """Return what axe finds wrong also a moment later: the page's scripts act on what is drawn, once it is drawn."""
    for _ in range(3):
        if not (said := violations(tab, options)):
            break
        tab.wait_for_timeout(1000)
    return said


def test_axe_finds_nothing(opened):
    """Every control is named, every list is one, everything that scrolls can be reached by keyboard."""
    tab, _ = opened
    assert not (said := lasting_violations(tab, {"rules": {"color-contrast": {"enabled": False}}})), said
    set_width(tab, 390)
    try:
        assert not (said := lasting_violations(tab, {"runOnly": ["scrollable-region-focusable", "button-name"]})), said
    finally:
        set_width(tab, 1280)


def test_texts_stand_out_from_their_ground_in_both_modes(page, browser):
    tab, _ = open_page(browser, page)
    try:
        if page.stem != "running":  # what looks the same everywhere is measured on one page, and takes long on the others
            tab.evaluate("selector => document.querySelectorAll(selector).forEach(box => box.replaceChildren())", ALIKE)
        tab.add_style_tag(content="* { transition: none !important }")  # colours between two modes are none that is read
        for mode in ("light", "dark"):
            tab.evaluate("mode => { document.documentElement.dataset.theme = mode }", mode)
            tab.wait_for_timeout(300)
            assert not (said := violations(tab, {"runOnly": ["color-contrast"]})), f"{mode}: {said}"
    finally:
        tab.close()


def test_the_keyboard_stops_at_what_acts(opened):
    tab, _ = opened
    assert not tab.locator("mjx-container[tabindex]:not([display=true])").count(), "formulas are stops"
    idle = tab.evaluate("""() => [...document.querySelectorAll('article [tabindex="0"]')]
        .filter(box => box.matches('mjx-container, pre, div.nblib-table, .pst-scrollable-table-container'))
        .filter(box => box.scrollWidth <= box.clientWidth).map(box => box.outerHTML.slice(0, 80))""")
    assert not idle, f"stops that nothing can be done at: {idle[:3]}"


def test_figures_have_a_ground_and_a_caption_in_both_modes(opened):
    tab, _ = opened
    tab.evaluate("document.documentElement.dataset.theme = 'dark'")
    try:
        bare = tab.evaluate("""() => [...document.querySelectorAll('article .cell_output img, article .nblib-player img')]
            .filter(image => getComputedStyle(image).backgroundColor !== 'rgb(255, 255, 255)')
            .map(image => image.alt.slice(0, 60))""")
        assert not bare, f"black upon black: {bare}"
        unseen = tab.evaluate("""() => [...document.querySelectorAll('article figcaption')]
            .filter(caption => !caption.closest('details:not([open])'))
            .filter(caption => !caption.textContent.trim() || !caption.offsetHeight).length""")
        assert not unseen, f"{unseen} captions cannot be read"
    finally:
        tab.evaluate("document.documentElement.dataset.theme = 'light'")


def test_cards_show_their_pictures_whole(book, browser):
    tab, _ = open_page(browser, book / "book/index.html")
    fits = tab.locator(".nblib-gallery img").evaluate_all("all => all.map(picture => getComputedStyle(picture).objectFit)")
    tab.close()
    assert len(fits) >= 10 and set(fits) == {"contain"}


def test_paper_shows_no_empty_boxes(opened):
    tab, _ = opened
    tab.emulate_media(media="print")
    try:
        for what in ("article details.hide:not([open]):visible", ".nblib-player button:visible", "button.copybtn:visible"):
            assert not tab.locator(what).count(), f"{what} is printed"
        pictures = tab.evaluate("""() => [...document.querySelectorAll('.nblib-player')].filter(box => box.offsetHeight)
            .map(box => [...box.querySelectorAll('img')].filter(image => image.offsetHeight).length)""")
        assert all(count == 1 for count in pictures), f"players print {pictures} pictures"
        whole = tab.evaluate("""() => [...document.querySelectorAll('article div.cell pre')]
            .filter(box => getComputedStyle(box).breakInside !== 'auto').length""")
        assert not whole, "code that no page holds would leave an empty frame"
    finally:
        tab.emulate_media(media="screen")


@pytest.mark.parametrize("words", ["completeness", "pointing game", "steps of integrated gradients"])
def test_search_lands_at_the_section_from_a_folder(book, browser, words):
    tab, troubles = open_page(browser, book / "search.html", "?q=" + words.replace(" ", "+"))
    try:
        tab.wait_for_selector("#search-results li a", timeout=15000)
        tab.wait_for_function("() => document.querySelector('#search-results').textContent.includes('finished')")
        links = tab.locator("#search-results li a")
        addresses = links.evaluate_all("links => links.map(link => link.getAttribute('href'))")
        assert any("saliency" in address for address in addresses)
        assert all("#" in address for address in addresses) and len(set(addresses)) == len(addresses), addresses
        links.first.click()
        tab.wait_for_load_state("load")
        target = "#" + tab.url.split("#")[1]
        assert tab.locator(target).count() == 1, f"{tab.url} leads nowhere"
        tab.wait_for_timeout(2500)  # formulas and players above it grow
        height = tab.locator(target).bounding_box()["y"]
        assert -10 <= height <= 200, f"{tab.url} lands {height:.0f} pixels above its section"
        assert not troubles, troubles[:3]
    finally:
        tab.close()


def test_sliders_move_without_a_kernel(book, browser):
    tab, troubles = open_page(browser, book / "book/saliency.html")
    shown = ".nblib-player img:visible"
    try:
        tab.wait_for_selector(shown, timeout=30000)
        players = tab.locator(".nblib-player")
        assert players.count() >= 2
        for number in range(players.count()):
            player = players.nth(number)
            images = player.locator("img:visible")
            before = images.first.get_attribute("src")
            assert images.count() == 1 and len(images.first.get_attribute("alt")) > 30
            handle = player.locator("[role=slider]").first
            assert len(handle.get_attribute("aria-label")) > 2
            said = handle.get_attribute("aria-valuetext")
            handle.focus()
            tab.keyboard.press("ArrowRight")
            tab.wait_for_timeout(300)
            assert player.locator("img:visible").first.get_attribute("src") != before, f"player {number} stands still"
            assert handle.get_attribute("aria-valuetext") != said, "a screen reader is not told of the new frame"
        assert not troubles, troubles[:3]
    finally:
        tab.close()


def test_mathematics_is_drawn(book, browser):
    tab, _ = open_page(browser, book / "book/saliency.html")
    try:
        tab.wait_for_selector("mjx-container svg", timeout=30000)
    finally:
        tab.close()
