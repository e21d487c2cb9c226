/** What a search found in a text: shown with its matches marked. */
const BEFORE = 12; // characters shown before the first match, where there are more

const pattern = (text) => new RegExp(`(${text.replace(/[$()*+.?[\\\]^{|}]/g, "\\$&")})`, "iu");

/** Let an element have a text with each match marked; what comes long before the first is left out. */
export function showMatches(element, text, searched) {
  const key = `${searched}\n${text}`;
  if (shownIn.get(element) === key) return;
  shownIn.set(element, key);
  const parts = searched ? text.split(pattern(searched)) : [text];
  if (parts.length > 1 && parts[0].length > BEFORE) parts[0] = `…${[...parts[0]].slice(-BEFORE).join("")}`;
  element.replaceChildren(...parts.map((part, index) => (index % 2 ? marked(part) : part)));
}
const shownIn = new WeakMap(); // element -> what it shows

function marked(text) {
  const mark = document.createElement("mark");
  mark.textContent = text;
  return mark;
}
