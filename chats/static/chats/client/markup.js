/** The text of a message, as elements. */
// What an address may not have: blanks; quotation marks and others of the sentence around it, typographic and
// full-width ones, too; marks that turn the direction, which could show another address. Brackets it has in pairs.
const PART = String.raw`[^\s()[\]{}<>"'\x60‘-‟‹›«»…—、。〈-】〔-〟！（），．：；？［］｛｝｟-､\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]`;
const PARTS = String.raw`(?:${PART}|\(${PART}*\)|\[${PART}*\]|\{${PART}*\})+(?<![.,;:!?])`;
const E_MAIL = String.raw`(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[a-z]{2,63}(?![\w-])`;
const LINK = new RegExp(String.raw`(${E_MAIL}|https?:\/\/${PARTS}|(?<!\w)www\.(?=\w)${PARTS})`, "i");

/** Let an element have a text, with links where that has addresses of the web or of e-mail, and no other. */
export function write(element, text) {
  if (element.textContent === text) return;
  element.replaceChildren(...text.split(LINK).map((part, index) => (index % 2 ? linkTo(part) : part)));
}

function linkTo(text) {
  const isOfWeb = /^(https?:\/\/|www\.(?!.*@))/i.test(text);
  const href = !isOfWeb ? `mailto:${text}` : text.replace(/^www/i, "https://$&");
  if (!URL.canParse(href)) return text;
  const link = document.createElement("a");
  return Object.assign(link, { href, target: isOfWeb ? "_blank" : "", rel: "noopener noreferrer nofollow", textContent: text });
}
