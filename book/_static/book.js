// Every page loads this before the widget scripts.

// The theme's icon script turns each <i> element into an <svg>. The play button keeps its <i> and changes it later, and
// fails when it is gone; so only what is on the page from the beginning may be turned.
(() => {
  const settings = { observeMutations: false };
  if (window.FontAwesome) Object.assign(window.FontAwesome.config, settings);
  else window.FontAwesomeConfig = settings;
})();

// The widget scripts look for their icon fonts beside themselves, so they must know that they come from the vendor folder.
(() => {
  const folder = document.documentElement.dataset.content_root + "_static/vendor/";
  const widgets = "@jupyter-widgets/";
  const files = {
    base: "base",
    controls: "controls",
    "html-manager": "html-manager",
    "html-manager/dist/libembed-amd": "libembed-amd",
  };
  const paths = {};
  for (const name in files) paths[widgets + name] = folder + files[name];
  window.require = { paths };
})();

// The widgets typeset their texts with the second version of MathJax if there is any; the page has the third, which does
// not have that door. A door that leads nowhere keeps them from failing.
document.addEventListener("DOMContentLoaded", () => {
  if (window.MathJax && !window.MathJax.Hub) window.MathJax.Hub = { Queue() {} };
});

// Controls that the widgets leave without a name get the words that are written beside them.
(() => {
  const name = (element, label) => {
    if (element && label && !element.hasAttribute("aria-label")) element.setAttribute("aria-label", label);
  };

  function label(player) {
    const what = player.querySelector(".widget-label")?.textContent.trim() || "frames";
    const [play, stop] = player.querySelectorAll(".widget-play button");
    name(play, `play or pause: ${what}`);
    name(stop, `back to the first: ${what}`);
    const handle = player.querySelector("[role=slider]");
    const shown = player.querySelector(".widget-readout")?.textContent;
    name(handle, what);
    if (handle && shown && handle.getAttribute("aria-valuetext") !== shown) handle.setAttribute("aria-valuetext", shown);
  }

  // What scrolls must be reachable by keyboard, and what does not scroll must be no stop on the way. What is folded away
  // has no width yet, so it stays as it is.
  const BOXES = "mjx-container[display=true], .nblib-table, .pst-scrollable-table-container, .highlight pre";
  function stops() {
    for (const box of document.querySelectorAll(BOXES)) {
      if (!box.clientWidth) continue;
      const scrolls = box.scrollWidth > box.clientWidth; // a pixel is enough for axe
      if (scrolls) box.setAttribute("tabindex", "0");
      else box.removeAttribute("tabindex");
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const players = () => document.querySelectorAll(".nblib-player").forEach(label);
    new MutationObserver(players).observe(document.querySelector("main") || document.body, {
      childList: true, subtree: true, characterData: true,
    });
    players();
    const side = document.querySelector(".bd-sidebar-primary");
    side?.setAttribute("role", "complementary");
    name(side, "The book");
    const grown = new ResizeObserver(stops);
    grown.observe(document.body);
    for (const box of document.querySelectorAll(BOXES)) {  // fonts may come late, and widen what is inside alone
      grown.observe(box);
      if (box.firstElementChild) grown.observe(box.firstElementChild);
    }
  });
})();

// Formulas and players grow after the page has gone to the section that was asked for. Until the reader moves, it goes there again.
(() => {
  let reading = false;
  for (const move of ["wheel", "touchstart", "pointerdown", "keydown"]) {
    window.addEventListener(move, () => { reading = true; }, { once: true, passive: true });
  }
  const settle = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && !reading) target.scrollIntoView({ behavior: "instant" });
  };
  document.addEventListener("DOMContentLoaded", () => new ResizeObserver(settle).observe(document.body));
})();
