"""A lesson as slides, in a browser with the network cut: pictures and sentences, no code, each on a screen of its own."""
import re

import pytest

from nblib.runs import parameters
from tests.fixtures.notebooks import LESSONS


@pytest.fixture(params=LESSONS)
def slides(request, book, browser):
    tab = browser.new_page()
    problems = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto((book / f"book/{request.param}.html").as_uri() + "?slides")
    tab.wait_for_load_state("load")
    tab.wait_for_function("!window.MathJax?.startup || document.querySelector('mjx-container')")
    yield tab
    tab.close()
    assert not problems, problems


def count(tab) -> int:
    return tab.locator(".nblib-slide").count()


def test_each_slide_has_a_heading_and_fits_its_screen_and_no_code_is_in_view(slides):
    assert 10 <= count(slides) <= 60 and not slides.locator("header:visible, .bd-sidebar:visible").count()
    for number in range(count(slides)):
        slide = slides.locator(".nblib-slide.shown")
        assert slide.count() == 1 and len(slide.locator("h2").inner_text()) > 3
        assert not slide.locator(".cell_input, .highlight, details").count()
        assert slide.locator("p:visible, li:visible, figure:visible, table:visible, .nblib-player:visible").count()
        assert slide.evaluate("box => box.scrollHeight <= box.clientHeight + 1 && box.scrollWidth <= box.clientWidth + 1")
        slides.keyboard.press("ArrowRight")
    assert slides.locator("nav output").inner_text() == f"{count(slides)} / {count(slides)}"


def test_pictures_and_tables_are_large_enough_to_be_read(slides):
    assert slides.locator(".nblib-slide figure img").count() >= 3
    for number in range(count(slides)):
        for width in slides.locator(".nblib-slide.shown figure img").evaluate_all("all => all.map(x => x.clientWidth)"):
            assert width >= 400, number
        for width in slides.locator(".nblib-slide.shown table").evaluate_all("all => all.map(x => x.parentElement.clientWidth)"):
            assert width >= 250, f"a table on slide {number} is {width} pixels wide"
        slides.keyboard.press("ArrowRight")


def test_letters_are_large_enough_to_be_read(slides):
    for number in range(count(slides)):
        size = slides.locator(".nblib-slide.shown").evaluate("slide => parseFloat(getComputedStyle(slide).fontSize)")
        assert size >= 17, f"the letters of slide {number + 1} are {size} pixels high"
        slides.keyboard.press("ArrowRight")


def test_sentences_keep_the_order_of_the_page_and_none_is_cut_off_from_what_turns_it(slides):
    places, rest = slides.evaluate("""() => {
        const text = paragraph => paragraph.textContent.trim();
        const page = [...document.querySelectorAll("article p")].map(text);
        const said = [...document.querySelectorAll(".nblib-said > p")].map(text);
        const places = said.map(words => page.findIndex(whole => whole.startsWith(words.slice(0, -1))));
        return [places, said.map((words, number) => page[places[number]]?.slice(words.length).trim())];
    }""")
    assert -1 not in places and places == sorted(places)
    assert sum(bool(words) for words in rest) >= 1, "nothing is left out: these are no slides"
    turned = [words for words in rest if re.match(r"(But|So|Yet) ", words)]
    assert not turned, turned


def test_exercises_stay_on_the_page_and_the_way_back_to_it_is_there(slides):
    assert not {"Exercises", "Run it yourself"} & set(slides.locator(".nblib-slide h2").all_inner_texts())
    slides.get_by_role("button", name="next").click()
    slides.get_by_role("button", name="back").click()
    assert slides.locator("nav output").inner_text().startswith("1 / ")
    slides.get_by_role("link", name="the page").click()
    slides.wait_for_url(lambda address: "slides" not in address)
    assert slides.locator("#exercises").is_visible()


def test_a_page_is_no_slides_unless_it_is_asked(book, browser):
    tab = browser.new_page()
    tab.goto((book / f"book/{parameters.chapters()[0]}.html").as_uri())
    assert not tab.locator(".nblib-slides").count() and tab.locator("#exercises").is_visible()
    tab.close()
