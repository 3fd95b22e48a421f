// A lesson as slides: `saliency.html?slides`. A heading, the beginnings of paragraphs, and a picture, a player or a
// table a slide; no code. The slides are made from the page itself, so they are as new as it is, and need no network.
// The key down opens the rest of the paragraphs, then scrolls what is longer than the screen; the key up takes it back.
document.addEventListener("DOMContentLoaded", () => {
  if (!new URLSearchParams(location.search).has("slides")) return;
  const LEFT_OUT = ["further-reading", "run-it-yourself"];
  const PLAYER = 'script[type="application/vnd.jupyter.widget-view+json"]'; // which stands here when the page has loaded
  const EXHIBIT = `figure, .nblib-table, .pst-scrollable-table-container, ${PLAYER}`;
  const CODE = ".cell:has(> .cell_input)"; // a cell whose code is in view on the page
  const BOXES = ".nblib-said, .nblib-slide:not(.tall) .nblib-exhibit, .nblib-exhibit > div";
  const SCROLLED = ".nblib-said, .nblib-exhibit, .nblib-exhibit > div";
  const MOST = 4; // paragraphs and lists on a slide
  const ITEMS = 5; // of a list on a slide
  const ROOM = { alone: 1600, list: 900, beside: 800, above: 250 }; // letters on a slide, beside a picture, above a wide table
  const WHOLE = 300; // letters of a paragraph that is shown whole
  const SHORT = 110; // letters of a longer one, from which on the end of a sentence ends it
  const LEAD = 160; // letters of a paragraph that stays with the list behind it
  const GOES_ON = /^\s*(?:But|And|So|Yet|Or|Then)\b|^[^.?!]*\?/; // the next sentence turns this one, or is a question
  const END = /(?<!\b(?:Fig|Figs|Eq|cf|vs|al|e\.g|i\.e))[.?!][”’")]*(?=\s+["“‘(]*[^\s\da-z]|\s*$)/g;
  const ANNOUNCES = /\b(?:code|library|call|lines|must give|expect)\b|^(?:Here|For|From|By hand we)\b/i; // code, before a colon
  const RESULT = /^(?:(?:That|This|These|Those|It) (?:is|are|has|have)|Each|The (?:first|last|two|rows|columns|axes))\b/; // of code
  const RECORD = /^Recorded runs behind/;
  const article = document.querySelector("article .bd-article") || document.querySelector("article");
  const slides = [];

  const make = (tag, name, ...inside) => {
    const element = document.createElement(tag);
    element.className = name;
    element.append(...inside);
    return element;
  };

  const button = (name, label, act) => {
    const made = make("button", name, label);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  };

  // where a paragraph's sentences end: in which of its texts, after how many letters there, and in the whole; not its own end
  function ends(paragraph) {
    const found = [];
    let before = 0;
    for (const node of paragraph.childNodes) {
      const matches = node.nodeType === Node.TEXT_NODE ? node.textContent.matchAll(END) : [];
      for (const { index, 0: sign } of matches) found.push({ node, letter: index + sign.length, at: before + index + sign.length });
      before += node.textContent.length;
    }
    return found.filter(({ at }) => paragraph.textContent.slice(at).trim());
  }

  // the part of a paragraph between two ends of sentences, where null is its own beginning or end
  function part(paragraph, from, to) {
    const range = document.createRange();
    range.selectNodeContents(paragraph);
    if (from) range.setStart(from.node, from.letter);
    if (to) range.setEnd(to.node, to.letter);
    return range;
  }

  // a paragraph without the sentences that speak of code: of its result, if there was some before, or of what is to come
  function withoutCode(paragraph, result, announces) {
    const copy = paragraph.cloneNode(true);
    const from = (end) => copy.textContent.slice(end?.at ?? 0).trim();
    for (let left = false; result && (RESULT.test(from()) || (left && /^\(/.test(from()))); left = true)
      part(copy, null, ends(copy)[0]).deleteContents();
    const record = [null, ...ends(copy)].find((end) => RECORD.test(from(end)));
    if (record !== undefined) part(copy, record, null).deleteContents();
    const last = ends(copy).at(-1);
    const code = part(copy, last, null).cloneContents().querySelector("code");
    if (announces && /:$/.test(from()) && (code || ANNOUNCES.test(from(last)))) part(copy, last, null).deleteContents();
    return copy;
  }

  // a long paragraph's first sentences, as many as are short together and what belongs to them; the rest waits behind a button
  function shorten(paragraph) {
    const text = paragraph.textContent;
    const end = ends(paragraph).find(({ at }) => at >= SHORT && !GOES_ON.test(text.slice(at)));
    if (text.length <= WHOLE || !end) return;
    const rest = make("span", "nblib-rest", part(paragraph, end, null).extractContents());
    const more = button("nblib-more", "…", () => open(true));
    more.setAttribute("aria-label", "the rest of each paragraph");
    paragraph.append(rest, " ", more);
  }

  // a long list in parts, each of which is a list
  function parts(list) {
    const items = [...list.children];
    const size = Math.ceil(items.length / Math.max(Math.ceil(items.length / ITEMS), Math.ceil(letters([list]) / ROOM.list)));
    return Array.from({ length: Math.ceil(items.length / size) }, (_, number) => {
      const some = list.cloneNode(false);
      some.append(...items.slice(number * size, (number + 1) * size).map((item) => item.cloneNode(true)));
      if (list.matches("ol")) some.start = list.start + number * size;
      return some;
    });
  }

  // a section's blocks in their order, those that a cell put out among them; what is folded away stays so
  function* blocks(parent) {
    for (const element of parent.children) {
      if (element.matches(`${EXHIBIT}, p, ol, ul, .math`)) yield element;
      else if (element.matches(".cell, .cell_output, .output.text_html, .admonition, .docutils.container")) {
        if (element.matches(".tag_exercise, .tag_solution, .cell_input")) continue;
        if (element.matches(CODE)) yield element;
        yield* blocks(element);
      }
    }
  }

  const formula = (block) => block.matches(".math");
  const rest = (block) => block.querySelector(":scope > .nblib-rest")?.textContent.length ?? 0;
  const letters = (said) => said.reduce((sum, block) => sum + (formula(block) ? 120 : block.textContent.length - rest(block)), 0);
  const leads = (block) => block?.matches("p") && (letters([block]) <= LEAD || /:\s*$/.test(block.textContent));
  const together = (said, room) => said.filter((block) => !formula(block)).length <= MOST && letters(said) <= room;

  function add(title, said, ...exhibit) {
    const text = make("div", "nblib-said", ...said);
    slides.push(make("section", "nblib-slide", make("h2", "", title), make("div", "nblib-both", text, ...exhibit)));
    return text;
  }

  // the text before a picture stands beside it, and that behind it too, if there is room
  function cut(section) {
    if (LEFT_OUT.includes(section.id)) return;
    const heading = section.querySelector(":scope > h1, :scope > h2, :scope > h3, :scope > h4").cloneNode(true);
    heading.querySelectorAll(".headerlink, .section-number").forEach((part) => part.remove());
    const title = heading.textContent.trim();
    let said = [];
    let beside = null;
    let room = ROOM.alone;
    if (section.id === "exercises") {
      const tasks = [...section.querySelectorAll(":scope > p")].filter((task) => /^\s*\d+\./.test(task.textContent));
      return add(title, tasks.map((task) => task.cloneNode(true)));
    }
    const flush = () => {
      if (!said.length) return;
      const joined = [...(beside?.children ?? []), ...said];
      if (beside && together(joined, room)) beside.append(...said);
      else [beside, room] = [add(title, said), ROOM.alone];
      said = [];
    };
    const guessing = section.id === "what-we-found"; // the answers come with the summary: here is the picture alone
    const found = [...blocks(section)].filter((block) => !guessing || block.matches(EXHIBIT));
    found.forEach((block, number) => {
      if (block.matches(CODE)) return;
      if (block.matches(EXHIBIT)) {
        const wide = block.querySelector("tr")?.children.length > 3;
        const most = wide ? ROOM.above : ROOM.beside;
        if (letters(said) > most) flush();
        [beside, room] = [add(title, said, make("div", wide ? "nblib-exhibit wide" : "nblib-exhibit", block)), most];
        said = [];
        return;
      }
      const follows = found[number + 1]?.contains(found[number + 2]) ? found[number + 2] : found[number + 1];
      const joined = follows?.matches(`ol, ul, .math, ${EXHIBIT}`);
      if (block.matches("ol, ul")) {
        const before = leads(said.at(-1)) ? [said.pop()] : []; // says what the list holds
        for (const some of parts(block)) {
          if (said.length) flush();
          beside = null;
          said.push(...before.splice(0), some);
        }
        return;
      }
      if (block.matches("p")) {
        const result = found[number - 1]?.matches(CODE) && found[number - 1].querySelector(".output:is(.text_plain, .stream)");
        block = withoutCode(block, result, follows?.matches(CODE));
        if (!block.textContent.trim()) return;
        const last = block.lastChild;
        if (last.nodeType === Node.TEXT_NODE && !joined) last.textContent = last.textContent.replace(/:\s*$/, ".");
        shorten(block);
      }
      if (!together([...said, block], ROOM.alone)) flush();
      said.push(block);
    });
    flush();
    section.querySelectorAll(":scope > section").forEach(cut);
  }

  const lesson = article.querySelector("section");
  cut(lesson);
  const inside = make("div", "nblib-slides tex2jax_ignore mathjax_ignore", ...slides);
  inside.querySelectorAll('a[href^="#"]').forEach((link) => link.removeAttribute("href"));
  const place = make("output", "");
  const turn = (label, step) => button("", label, () => show(shown + step));
  const away = make("a", "", "the page");
  away.href = location.pathname.split("/").at(-1);
  inside.append(make("nav", "", turn("back", -1), place, turn("next", 1), away));
  inside.lastChild.setAttribute("aria-label", "slides");
  document.body.append(inside);
  document.documentElement.classList.add("nblib-as-slides");

  let shown = 0;
  function show(number) {
    shown = Math.min(Math.max(number, 0), slides.length - 1);
    slides.forEach((slide, other) => slide.classList.toggle("shown", other === shown));
    place.textContent = `${shown + 1} / ${slides.length}`;
    history.replaceState(null, "", `#${shown + 1}`);
    fit(slides[shown]);
  }

  const fits = (box) => box.scrollHeight <= box.clientHeight + 1 && box.scrollWidth <= box.clientWidth + 1;
  const goesOn = (box) => box.scrollTop + box.clientHeight < box.scrollHeight - 2;
  const mark = (box) => box.classList.toggle("goes-on", goesOn(box)); // which the page shows below it

  // as large as the screen allows; a picture that is much higher than wide scrolls, since it could not be read
  function fit(slide) {
    const picture = slide.querySelector("figure img");
    slide.classList.toggle("tall", Boolean(picture) && picture.naturalHeight > 1.4 * picture.naturalWidth);
    for (let size = 30; size >= (slide.matches(".open") ? 17 : 12); size -= 1) {
      slide.style.fontSize = `${size}px`;
      if ([slide, ...slide.querySelectorAll(BOXES)].every(fits)) break;
    }
    slide.querySelectorAll(SCROLLED).forEach(mark);
  }

  function open(whole) {
    slides[shown].classList.toggle("open", whole);
    fit(slides[shown]);
  }

  // down: opens the paragraphs, then scrolls what is longer than the screen; up: the same way back
  function move(down) {
    const slide = slides[shown];
    if (down && slide.matches(":not(.open):has(.nblib-rest)")) return open(true);
    const box = [...slide.querySelectorAll(SCROLLED)].find((box) => (down ? goesOn(box) : box.scrollTop > 0));
    if (box) box.scrollBy(0, (down ? 0.8 : -0.8) * box.clientHeight);
    else if (!down) open(false);
  }

  const STEPS = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1, Home: -Infinity, End: Infinity };
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (target.closest("input, [role=slider], .nblib-player") || (key === " " && target.closest("button, a"))) return;
    if (key in STEPS) show(shown + STEPS[key]);
    else if (key === "ArrowDown" || key === "ArrowUp") move(key === "ArrowDown");
    else return;
    event.preventDefault();
  });
  inside.addEventListener("scroll", ({ target }) => mark(target), true);
  window.addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1 || 0));
  for (const when of ["load", "resize"]) window.addEventListener(when, () => fit(slides[shown]));
  show(Number(location.hash.slice(1)) - 1 || 0);
  window.MathJax?.startup?.promise?.then(() => fit(slides[shown]));
});
