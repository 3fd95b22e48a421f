// A lesson as slides: `saliency.html?slides`. A heading, the beginnings of paragraphs, and a picture, a player or a
// table a slide; no code. The slides are made from the page itself, so they are as new as it is, and need no network.
document.addEventListener("DOMContentLoaded", () => {
  if (!new URLSearchParams(location.search).has("slides")) return;
  const LEFT_OUT = ["exercises", "further-reading", "run-it-yourself"];
  const PLAYER = 'script[type="application/vnd.jupyter.widget-view+json"]'; // which stands here when the page has loaded
  const EXHIBIT = `figure, .nblib-table, .pst-scrollable-table-container, ${PLAYER}`;
  const BOXES = ".nblib-said, .nblib-slide:not(.tall) .nblib-exhibit, .nblib-exhibit > div";
  const MOST = 4; // paragraphs and lists on a slide
  const ROOM = { alone: 1600, beside: 800, above: 250 }; // letters on a slide, beside a picture, above a wide table
  const WHOLE = 300; // letters of a paragraph that is shown whole
  const SHORT = 110; // letters of a longer one, from which on the end of a sentence ends it
  const GOES_ON = /^\s*(?:But|And|So|Yet|Or|Then)\b|^[^.?!]*\?/; // the next sentence turns this one, or is a question
  const END = /(?<!\b(?:Fig|Figs|Eq|cf|vs|al|e\.g|i\.e))[.?!][”’")]*(?=\s+["“‘(]*[^\s\da-z]|\s*$)/g;
  const article = document.querySelector("article .bd-article") || document.querySelector("article");
  const slides = [];

  const make = (tag, name, ...inside) => {
    const element = document.createElement(tag);
    element.className = name;
    element.append(...inside);
    return element;
  };

  // a short paragraph, or the first sentences of a long one: as many as are short together, and what belongs to them
  function beginning(paragraph) {
    const text = paragraph.textContent;
    const copy = paragraph.cloneNode(false);
    for (const node of [...paragraph.childNodes]) {
      const before = copy.textContent.length;
      copy.append(node.cloneNode(true));
      if (text.length <= WHOLE || node.nodeType !== Node.TEXT_NODE) continue;
      for (const end of node.textContent.matchAll(END)) {
        const length = end.index + end[0].length;
        if (before + length < SHORT || GOES_ON.test(text.slice(before + length))) continue;
        copy.lastChild.textContent = node.textContent.slice(0, length);
        return copy;
      }
    }
    return copy;
  }

  // a section's blocks in their order, those that a cell put out among them; what is folded away stays so
  function* blocks(parent) {
    for (const element of parent.children) {
      if (element.matches(`${EXHIBIT}, p, ol, ul, .math`)) yield element;
      else if (element.matches(".cell, .cell_output, .output.text_html, .admonition, .docutils.container")) {
        if (!element.matches(".tag_exercise, .tag_solution, .cell_input")) yield* blocks(element);
      }
    }
  }

  const formula = (block) => block.matches(".math");
  const letters = (said) => said.reduce((sum, block) => sum + (formula(block) ? 120 : block.textContent.length), 0);
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
    const flush = () => {
      if (!said.length) return;
      const joined = [...(beside?.children ?? []), ...said];
      if (beside && together(joined, room)) beside.append(...said);
      else [beside, room] = [add(title, said), ROOM.alone];
      said = [];
    };
    const found = [...blocks(section)];
    found.forEach((block, number) => {
      if (block.matches(EXHIBIT)) {
        const wide = block.querySelector("tr")?.children.length > 3;
        const most = wide ? ROOM.above : ROOM.beside;
        if (letters(said) > most) flush();
        [beside, room] = [add(title, said, make("div", wide ? "nblib-exhibit wide" : "nblib-exhibit", block)), most];
        said = [];
        return;
      }
      const announces = /^.{0,60}:$/.test(block.textContent.trim()); // code perhaps, which is not here
      if (block.matches("p") && announces && !found[number + 1]?.matches(`ol, ul, .math, ${EXHIBIT}`)) return;
      const next = block.matches("p") ? beginning(block) : block;
      const list = block.matches("ol, ul");
      const before = list && /:\s*$/.test(said.at(-1)?.textContent) ? [said.pop()] : []; // says what the list holds
      if (!together([...said, ...before, next], ROOM.alone) || (list && said.length + before.length > 1)) flush();
      if (list) beside = null;
      said.push(...before, next);
      const last = said.at(-1).lastChild;
      if (block.matches("p") && last?.nodeType === Node.TEXT_NODE && !found[number + 1]?.matches(`ol, ul, .math, ${EXHIBIT}`))
        last.textContent = last.textContent.replace(/:\s*$/, ".");
    });
    flush();
    section.querySelectorAll(":scope > section").forEach(cut);
  }

  const lesson = article.querySelector("section");
  cut(lesson);
  const inside = make("div", "nblib-slides tex2jax_ignore mathjax_ignore", ...slides);
  inside.querySelectorAll('a[href^="#"]').forEach((link) => link.removeAttribute("href"));
  const place = make("output", "");
  const button = (label, step) => {
    const made = make("button", "", label);
    made.type = "button";
    made.addEventListener("click", () => show(shown + step));
    return made;
  };
  const away = make("a", "", "the page");
  away.href = location.pathname.split("/").at(-1);
  inside.append(make("nav", "", button("back", -1), place, button("next", 1), away));
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

  // as large as the screen allows; a picture that is much higher than wide scrolls, since it could not be read
  function fit(slide) {
    const picture = slide.querySelector("figure img");
    slide.classList.toggle("tall", Boolean(picture) && picture.naturalHeight > 1.4 * picture.naturalWidth);
    scale(slide);
  }

  function scale(slide) {
    for (let size = 30; size >= 12; size -= 1) {
      slide.style.fontSize = `${size}px`;
      if ([slide, ...slide.querySelectorAll(BOXES)].every(fits)) break;
    }
  }

  const STEPS = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1, Home: -Infinity, End: Infinity };
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("button, a, input, [role=slider], .nblib-player") || !(event.key in STEPS)) return;
    event.preventDefault();
    show(shown + STEPS[event.key]);
  });
  for (const when of ["load", "resize"]) window.addEventListener(when, () => fit(slides[shown]));
  show(Number(location.hash.slice(1)) - 1 || 0);
  window.MathJax?.startup?.promise?.then(() => fit(slides[shown]));
});
