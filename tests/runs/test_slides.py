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
        const paragraphs = [...document.querySelectorAll(".nblib-said > p")];
        const rest = paragraphs.map(p => p.querySelector(".nblib-rest")?.textContent ?? "");
        const said = paragraphs.map(p => text(p).replace(/\\s*…$/, ""));
        return [said.map(words => page.findIndex(whole => whole.includes(words.slice(0, -1)))), rest.map(words => words.trim())];
    }""")
    assert -1 not in places and places == sorted(places)
    assert sum(bool(words) for words in rest) >= 1, "nothing is left out: these are no slides"
    turned = [words for words in rest if re.match(r"(But|So|Yet) ", words)]
    assert not turned, turned


def test_the_key_down_or_a_click_opens_the_paragraphs_and_the_key_up_shortens_them(slides):
    opened = 0
    for number in range(count(slides)):
        slide = slides.locator(".nblib-slide.shown")
        marks, rest = slide.locator(".nblib-more"), slide.locator(".nblib-rest")
        assert marks.count() == rest.count()
        if marks.count():
            assert marks.first.is_visible() and not rest.first.is_visible()
            slides.keyboard.press("ArrowDown")
            assert rest.last.is_visible() and not marks.last.is_visible()
            assert slide.evaluate("box => parseFloat(getComputedStyle(box).fontSize)") >= 17
            assert slide.evaluate("box => box.scrollHeight <= box.clientHeight + 1"), f"slide {number + 1} is longer than the screen"
            slides.keyboard.press("ArrowUp")
            assert not rest.first.is_visible()
            marks.first.click()
            assert rest.last.is_visible()
            slides.emulate_media(media="print")
            assert not rest.first.is_visible() and not marks.first.is_visible()
            slides.emulate_media(media="screen")
            opened += 1
        slides.keyboard.press("ArrowRight")
    assert opened >= 3


def test_what_was_found_comes_with_the_summary_and_not_before_people_have_guessed(slides):
    first = slides.locator(".nblib-slide", has=slides.locator("h2", has_text="What we found"))
    assert first.locator("figure").count() and not first.locator(".nblib-said > *").count()
    assert slides.locator(".nblib-slide", has=slides.locator("h2", has_text="Summary")).locator("li").count() >= 3


def test_no_sentence_speaks_of_code_and_no_commit_is_named(slides):
    said = slides.locator(".nblib-said > p").evaluate_all("all => all.map(p => p.textContent.trim())")
    code = [words for words in said if re.match(r"(These are the|That is the share|Each pair|As code)", words)
            or re.search(r"\b[Aa]s code[^.?!]*[.:]$|must give[^.?!]*[.:]$|Recorded runs behind", words)]
    assert not code, code


def test_a_picture_that_is_longer_than_the_screen_says_so_and_scrolls_by_key(slides):
    tall = slides.locator(".nblib-slide").evaluate_all("""all => all.flatMap((slide, number) => {
        const picture = slide.querySelector("figure img");
        return picture && picture.naturalHeight > 1.4 * picture.naturalWidth ? [number] : [];
    })""")
    assert tall, "the chart of verdicts is as high as several screens"
    slides.evaluate("number => { location.hash = `#${number + 1}`; }", tall[-1])
    slide = slides.locator(".nblib-slide.shown")
    slides.wait_for_function("number => document.querySelector('.nblib-slides output').textContent.startsWith(`${number} /`)",
                             arg=tall[-1] + 1)
    frame = slide.locator(".nblib-exhibit")
    assert "▼" in frame.evaluate("box => getComputedStyle(box, '::after').content")
    assert frame.locator("figcaption").bounding_box()["y"] < frame.locator("img").bounding_box()["y"]
    if slide.locator(".nblib-rest").count():
        slides.keyboard.press("ArrowDown")
    height = frame.evaluate("box => box.clientHeight")
    for _ in range(30):
        before = frame.evaluate("box => box.scrollTop")
        slides.keyboard.press("ArrowDown")
        assert frame.evaluate("box => box.scrollTop") - before <= 0.9 * height
    assert frame.evaluate("box => box.scrollTop + box.clientHeight >= box.scrollHeight - 2 && box.scrollTop > 100")
    slides.wait_for_function("() => !document.querySelector('.shown .nblib-exhibit').matches('.goes-on')")


def test_captions_have_letters_of_one_size(slides):
    sizes = slides.locator(".nblib-slide figcaption p").evaluate_all(
        "all => all.map(p => [...p.querySelectorAll('.caption-number, .caption-text')].map(x => getComputedStyle(x).fontSize))")
    assert sizes and all(len(set(both)) == 1 for both in sizes), sizes


def test_a_long_list_goes_over_several_slides_with_what_leads_to_it(slides):
    lists = slides.locator(".nblib-said > :is(ol, ul)").evaluate_all("all => all.map(list => list.children.length)")
    assert lists and max(lists) <= 5
    summary = slides.locator(".nblib-slide", has=slides.locator("h2", has_text=re.compile("^Summary$")))
    assert summary.first.locator("ul, ol").count() and summary.first.locator(".nblib-said > p").count()
    whole = slides.locator("#summary li").count()
    assert summary.locator("li").count() == whole
    starts = slides.locator(".nblib-said > ol").evaluate_all("all => all.map(list => [list.start, list.children.length])")
    assert all(start == 1 or start == before + number for (before, number), (start, _) in zip(starts, starts[1:]))


def test_tasks_are_on_a_slide_without_solutions_and_the_way_back_is_there(slides):
    titles = slides.locator(".nblib-slide h2").all_text_contents()
    assert not {"Run it yourself", "Further reading"} & set(titles) and titles.count("Exercises") == 1
    tasks = slides.locator(".nblib-slide").nth(titles.index("Exercises"))
    words = tasks.locator("p").all_text_contents()
    bold = slides.locator("#exercises > p > strong:first-child").all_text_contents()
    numbered = [name for name in bold if re.match(r"\d+\.", name)]
    assert len(words) == len(numbered) >= 3 and all(text.startswith(name) for text, name in zip(words, numbered))
    assert not tasks.locator(".cell, .highlight, details, .nblib-rest").count()
    slides.get_by_role("button", name="next").click()
    slides.get_by_role("button", name="back").click()
    assert slides.locator("nav output").inner_text().startswith("1 / ")
    slides.get_by_role("link", name="the page").click()
    slides.wait_for_url(lambda address: "?slides" not in address)
    assert slides.locator("#exercises").is_visible()


def test_an_address_opens_a_slide(book, browser):
    tab = browser.new_page()
    tab.goto((book / f"book/{parameters.chapters()[0]}.html").as_uri() + "?slides#4")
    tab.wait_for_load_state("load")
    assert tab.locator("nav output").inner_text().startswith("4 / ")
    tab.close()


def test_a_page_is_no_slides_unless_it_is_asked(book, browser):
    tab = browser.new_page()
    tab.goto((book / f"book/{parameters.chapters()[0]}.html").as_uri())
    assert not tab.locator(".nblib-slides").count() and tab.locator("#exercises").is_visible()
    tab.close()
