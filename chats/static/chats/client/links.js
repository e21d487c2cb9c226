/** The addresses of the web and of e-mail in a text: where each begins and ends. */

// What an address may not have: blanks; quotation marks and others of the sentence around it, typographic and
// full-width ones, too; marks that turn the direction, which could show another address. Brackets it has in pairs.
const PART = String.raw`[^\s()[\]{}<>"'\x60‘-‟‹›«»…—、。〈-】〔-〟！（），．：；？［］｛｝｟-､\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]`;
const PARTS = new RegExp(`${PART}*`, "y"); // one class of characters: nothing to try twice
const CLOSING = { "(": ")", "[": "]", "{": "}" };
const PUNCTUATION = ".,;:!?*~"; // at its end it belongs to the sentence, or marks it up
const BEGINNING = /https?:\/\/|(?<!\w)www\.(?=\w)/iy;
const E_MAIL = /(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-z]{2,63}(?![\w-])/iy;
const HINT = /https?:\/\/|www\.|@/gi; // where one may be
const LONGEST = 2_000; // characters of an address

/** How far a sticky expression matches from a place; the place where it does not. */
function match(expression, text, at) {
  expression.lastIndex = at;
  return expression.test(text) ? expression.lastIndex : at;
}

/** The addresses in a text: where each begins and where it ends. */
export function addressesOf(text) {
  const found = new Map();
  const starts = [...text.matchAll(HINT)].map(({ 0: hint, index }) => (hint === "@" ? localPart(text, index) : index));
  let end = 0;
  for (const start of starts.sort((a, b) => a - b)) {
    const until = start < end ? start : endOfAddress(text, start);
    if (until === start || !hrefOf(text.slice(start, until))) continue;
    found.set(start, until);
    end = until;
  }
  return found;
}

/** Where the part of an e-mail address before its "@" begins. */
function localPart(text, at) {
  let start = at;
  while (at - start < 65 && /[\w.+-]/.test(text[start - 1] ?? "")) start -= 1;
  return start;
}

/** Where the address that begins at a place ends; the place itself where none begins. */
function endOfAddress(text, at) {
  const endOfEmail = match(E_MAIL, text, at);
  const start = match(BEGINNING, text, at);
  if (endOfEmail > at || start === at) return endOfEmail;
  let end = start;
  for (const most = start + LONGEST; end < most; ) {
    end = match(PARTS, text, end);
    const closing = text[end] in CLOSING && match(PARTS, text, end + 1);
    if (!closing || text[closing] !== CLOSING[text[end]]) break;
    end = closing + 1;
  }
  while (PUNCTUATION.includes(text[end - 1]) && end > start) end -= 1;
  return end > start ? end : at;
}

/** Where the text of an address leads, or null. */
export function hrefOf(text) {
  const isOfWeb = /^(https?:\/\/|www\.(?!.*@))/i.test(text);
  const href = !isOfWeb ? `mailto:${text.replace(/^mailto:/i, "")}` : text.replace(/^www/i, "https://$&");
  return URL.canParse(href) ? href : null;
}
