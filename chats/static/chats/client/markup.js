/** The text of a message, as elements. All of it is there, in order: what marks it up is only not shown. */
import { parse } from "./markdown.js";

/** Let an element have a text. */
export function write(element, text) {
  if (element.textContent !== text) element.replaceChildren(...parse(text).map(nodeOf));
}

function nodeOf(part) {
  if (typeof part === "string") return part;
  const { name, parts } = part;
  const element = document.createElement(name === "mark" ? "span" : name);
  if (name === "mark") element.hidden = true;
  if (name === "a") lead(element, part.href);
  if (name === "li") place(element, part);
  element.append(...parts.map(nodeOf));
  return element;
}

function lead(link, href) {
  const isOfWeb = !href.startsWith("mailto:");
  Object.assign(link, { href, title: href, target: isOfWeb ? "_blank" : "", rel: "noopener noreferrer nofollow" });
}

function place(element, { level, number }) {
  if (number >= 0) element.value = number;
  element.style.marginInlineStart = level ? `${level * 1.5}em` : "";
}

// --- Copying ---------------------------------------------------------------------

const bare = (text) => text.replaceAll(/\s/g, "");

/** What is copied of a message is as it was written, with what marks it up. */
document.addEventListener("copy", (event) => {
  const selection = getSelection();
  if (!selection.rangeCount) return;
  const range = selection.getRangeAt(0);
  const bodyOf = ({ parentElement }) => parentElement?.closest(".body");
  const body = bodyOf(range.startContainer);
  if (!body) return;
  const isWhole = bare(selection.toString()) === bare(body.innerText);
  if (!isWhole && bodyOf(range.endContainer) !== body) return; // of several messages: as the browser has it
  event.clipboardData.setData("text/plain", isWhole ? body.textContent : range.cloneContents().textContent);
  event.preventDefault();
});
