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
