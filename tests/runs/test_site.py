"""The built site: complete, with nothing from elsewhere, alive with the network cut."""
import re
from html.parser import HTMLParser

import pytest

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


def test_styles_load_nothing_from_elsewhere(book):
    for path in book.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import )\s*['\"]?([^'\")\s]+)", path.read_text(errors="ignore")):
            assert not re.match(r"(https?:)?//", address), f"{path.name} loads {address}"


def open_page(browser, path, query=""):
    """Open a page from its folder and return it with what went wrong in it."""
    tab = browser.new_page()
    troubles = []
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
    tab.goto(path.as_uri() + query, wait_until="load")
    return tab, troubles


def test_every_page_opens_with_the_network_cut(page, browser):
    tab, troubles = open_page(browser, page)
    try:
        assert tab.locator("article h1").first.is_visible()  # the first of all is for print only
        tab.wait_for_timeout(300)
        assert not troubles, f"{page.name}: {troubles[:3]}"
        width = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 1, f"{page.name} is {width} pixels wider than the window"
    finally:
        tab.close()


def test_search_works_from_a_folder(book, browser):
    tab, troubles = open_page(browser, book / "search.html", "?q=completeness")
    try:
        tab.wait_for_selector("#search-results li", timeout=15000)
        assert "saliency" in " ".join(tab.locator("#search-results li a").evaluate_all("links => links.map(a => a.href)"))
        assert not troubles
    finally:
        tab.close()


def test_sliders_move_without_a_kernel(book, browser):
    tab, troubles = open_page(browser, book / "book/saliency_lab.html")
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
            player.locator("[role=slider]").first.focus()
            tab.keyboard.press("ArrowRight")
            tab.wait_for_timeout(300)
            assert player.locator("img:visible").first.get_attribute("src") != before, f"player {number} stands still"
        assert not troubles, troubles[:3]
    finally:
        tab.close()


def test_mathematics_is_drawn(book, browser):
    tab, _ = open_page(browser, book / "book/saliency_lab.html")
    try:
        tab.wait_for_selector("mjx-container svg", timeout=30000)
    finally:
        tab.close()
