// The search page loads this. A hit in the text of a page leads to the section, or the term of the glossary, that holds most
// of the words asked for; the words of each come from sections.js, which is written when the book is rendered.
document.addEventListener("DOMContentLoaded", () => {
  const inTexts = Search.performTermsSearch;
  const everywhere = Search._performSearch;

  function weight(name, text, words) {
    const found = text.split(" ");
    const heading = name.toLowerCase();
    let sum = 0;
    for (const word of words) {
      if (heading.includes(word)) sum += 1.5;
      else if (found.includes(word)) sum += 1;
      else if (found.some((other) => other.includes(word))) sum += 0.5;
    }
    return sum;
  }

  Search.performTermsSearch = (wanted, unwanted) => inTexts(wanted, unwanted).map((result) => {
    let most = 0;
    for (const [id, name, text] of SECTIONS[result[0]] || []) {
      const sum = weight(name, text, wanted);
      if (sum > most) [most, result[2]] = [sum, "#" + id];
    }
    return result;
  });

  // The best result comes last. Each place is told once, by the names of its page and its section.
  Search._performSearch = (...query) => {
    const seen = new Set();
    const results = everywhere(...query).reverse().filter(([page, , anchor]) => {
      const place = page + anchor;
      return !seen.has(place) && seen.add(place);
    });
    for (const result of results) {
      const [page, title, anchor] = result;
      const section = (SECTIONS[page] || []).find(([id]) => "#" + id === anchor);
      if (section && !title.endsWith(section[1])) result[1] = `${title} > ${section[1]}`;
    }
    return results.reverse();
  };
});
