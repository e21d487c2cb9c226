/**
 * Light Markdown, the subset in docs/clients.md, as a tree: `parse(text)` returns a list of
 * strings and of nodes `{ name, parts, ... }`. Nodes with the name "mark" have what only marks
 * the text up. All strings of the tree, one after the other, are the text.
 *
 * The time is linear in the text: each character is looked at a bounded number of times, and
 * the tree is at most DEPTH quotes and one of each kind of emphasis deep.
 */
import { addressesOf, hrefOf } from "./links.js";

const DEPTH = 3; // quotes in quotes
const KINDS = { "*": ["em"], "**": ["strong"], "***": ["strong", "em"], _: ["em"], "~~": ["del"] };
const LIST = /^( {0,8})([-*+]|\d{1,3}[.)]) (?=\S)/;
const QUOTE = /^>(?: |$|(?=>))/;
const FENCE = /^```[^`]*$/;
const isWord = (character) => /[\p{L}\p{N}_]/u.test(character ?? "");
const isBlank = (character) => !character || /\s/.test(character);
const mark = (text) => ({ name: "mark", parts: [text] });

export const parse = (text) => blocks(linesOf(text), 0);

/** The text of a tree without what marks it up. */
const textOf = (parts) =>
  parts.map((part) => (typeof part === "string" ? part : part.name === "mark" ? "" : textOf(part.parts))).join("");
/** The beginning of a text, without what marks it up. */
export const excerptOf = (text, most = 200) => textOf(parse(text.slice(0, 2 * most))).slice(0, most);

// --- Blocks ----------------------------------------------------------------------

/** Lines as `{ before, text, end }`: the marks of quotes before it, and how it ends. */
function linesOf(text) {
  const lines = text.split("\n");
  return lines.map((line, at) => ({ before: "", text: line, end: at < lines.length - 1 ? "\n" : "" }));
}

function blocks(lines, depth) {
  const parts = [];
  const closings = closingsOf(lines);
  for (let at = 0; at < lines.length; ) {
    const [part, next] =
      fence(lines, at, closings[at]) ?? quote(lines, at, depth) ?? list(lines, at) ?? [null, at + 1];
    if (part) parts.push(part);
    else parts.push(...lineOf(lines[at]));
    at = next;
  }
  return merged(parts);
}

/** For each line, the next line that ends a fenced block. */
function closingsOf(lines) {
  const closings = [];
  for (let at = lines.length - 1, closing; at >= 0; at -= 1) {
    closings[at] = closing;
    if (lines[at].text.trimEnd() === TICK.repeat(3)) closing = at;
  }
  return closings;
}

function fence(lines, at, closing) {
  if (!closing || !FENCE.test(lines[at].text)) return null;
  const whole = ({ before, text, end }) => mark(before + text + end);
  const code = lines.slice(at + 1, closing).flatMap(({ before, text, end }) => [mark(before), text + end]);
  return [{ name: "pre", parts: [whole(lines[at]), ...code, whole(lines[closing])] }, closing + 1];
}

function quote(lines, at, depth) {
  let next = at;
  while (depth < DEPTH && next < lines.length && QUOTE.test(lines[next].text)) next += 1;
  if (next === at) return null;
  const inner = lines.slice(at, next).map(({ before, text, end }) => {
    const [{ length }] = text.match(QUOTE);
    return { before: before + text.slice(0, length), text: text.slice(length), end };
  });
  return [{ name: "blockquote", parts: blocks(inner, depth + 1) }, next];
}

function list(lines, at) {
  const first = lines[at].text.match(LIST);
  if (!first) return null;
  const isOrdered = (marker) => !"-*+".includes(marker);
  const items = [];
  let next = at;
  for (let found = first; found && isOrdered(found[2]) === isOrdered(first[2]); found = lines[next]?.text.match(LIST)) {
    const [{ length }, indent, marker] = found;
    const { before, text, end } = lines[next];
    const parts = lineOf({ before: before + text.slice(0, length), text: text.slice(length), end });
    items.push({ name: "li", parts, level: Math.ceil(indent.length / 4), number: parseInt(marker, 10) });
    next += 1;
  }
  return [{ name: isOrdered(first[2]) ? "ol" : "ul", parts: items }, next];
}

const lineOf = ({ before, text, end }) => [...(before ? [mark(before)] : []), ...inline(text), end];

/** Neighbouring strings as one; nothing empty. */
function merged(parts) {
  const result = [];
  for (const part of parts) {
    if (part === "" || part.parts?.[0] === "") continue;
    if (typeof part === "string" && typeof result.at(-1) === "string") result.push(result.pop() + part);
    else result.push(part.parts && part.name !== "mark" ? { ...part, parts: merged(part.parts) } : part);
  }
  return result;
}

// --- In a line -------------------------------------------------------------------

const TICK = "\x60";
const MARKER = /\x60+|\*+|_+|~+|\[/g;
const ANY = /[\x60*_~[@]|:\/\/|www\./i;

/** The parts of a line. What is open is kept in a stack, which has each kind of emphasis at most once. */
function inline(text, isLabel = false) {
  if (!ANY.test(text)) return [text];
  const finds = findsOf(text, isLabel);
  const stack = [{ marker: "", parts: [] }];
  const add = (part) => stack.at(-1).parts.push(part);
  const isOpen = (marker) => stack.some((opened) => opened.marker === marker);
  const close = (isWhole) => {
    const { marker, parts } = stack.pop();
    (isWhole ? [emphasis(marker, parts)] : [marker, ...parts]).forEach(add);
  };
  let at = 0;
  for (const [place, marker] of placesOf(text, finds)) {
    if (place < at) continue;
    if (place > at) add(text.slice(at, place));
    const found = finds[marker[0]]?.(place);
    at = found ? found.end : place + marker.length;
    if (found) add(found.part);
    else if (isOpen(marker) && closes(text, place, marker) && !isEmpty(stack.at(-1), marker)) {
      while (stack.at(-1).marker !== marker) close(false);
      close(true);
    } else if (marker in KINDS && opens(text, place, marker) && !isOpen(marker)) stack.push({ marker, parts: [] });
    else add(marker);
  }
  if (at < text.length) add(text.slice(at));
  while (stack.length > 1) close(false);
  return stack[0].parts;
}

/** What finds a part, by the character that begins it, or "@" for an address. In a label there is code only. */
function findsOf(text, isLabel) {
  const runs = runsOf(text);
  const codes = { [TICK]: (at) => code(text, at, runs), addresses: new Map() };
  if (isLabel) return codes;
  const [addresses, brackets] = [addressesOf(text), bracketsOf(text)];
  const address = (at) => ({ part: addressNode(text.slice(at, addresses.get(at))), end: addresses.get(at) });
  return { ...codes, addresses, "@": address, "[": (at) => link(text, at, brackets, addresses) };
}

/** The places in a line where something may begin, in order, each with what is there. */
function placesOf(text, { addresses }) {
  const markers = [...text.matchAll(MARKER)].map(({ 0: marker, index }) => [index, marker]);
  if (!addresses.size) return markers;
  return [...[...addresses.keys()].map((at) => [at, "@"]), ...markers].sort(([a], [b]) => a - b);
}

const isEmpty = (opened, marker) => opened.marker === marker && !opened.parts.length;

// A single mark is none in a word, as in snake_case and 2*3*4; after a backslash, it is as it stands.
const isSingle = (marker) => marker.length === 1;
const opens = (text, at, marker) =>
  !isBlank(text[at + marker.length]) && text[at - 1] !== "\\" && !(isSingle(marker) && isWord(text[at - 1]));
const closes = (text, at, marker) =>
  !isBlank(text[at - 1]) && text[at - 1] !== "\\" && !(isSingle(marker) && isWord(text[at + marker.length]));

const emphasis = (marker, parts) => {
  const [first, ...rest] = KINDS[marker];
  const inner = [mark(marker), ...parts, mark(marker)];
  return { name: first, parts: rest.length ? [{ name: rest[0], parts: inner }] : inner };
};

/** For each place where a run of backticks begins, its length and where the next of the same length begins. */
function runsOf(text) {
  const runs = new Map();
  const last = new Map();
  for (let end = text.length; end > 0; ) {
    let at = end;
    while (text[at - 1] === TICK) at -= 1;
    const length = end - at;
    if (length) runs.set(at, { length, next: last.get(length) });
    if (length) last.set(length, at);
    end = at - (length ? 0 : 1);
  }
  return runs;
}

function code(text, at, runs) {
  const { length, next } = runs.get(at) ?? {};
  if (!next) return null;
  const marker = text.slice(at, at + length);
  return { part: { name: "code", parts: [mark(marker), text.slice(at + length, next), mark(marker)] }, end: next + length };
}

/** For each bracket that opens, where the one is that closes it. */
function bracketsOf(text) {
  const closings = [];
  const opened = { "]": [], ")": [] };
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "[") opened["]"].push(at);
    else if (text[at] === "(") opened[")"].push(at);
    else if (text[at] in opened && opened[text[at]].length) closings[opened[text[at]].pop()] = at;
  }
  return closings;
}

/** `[label](address)`. A label that names an address could name another one: that is no link. */
function link(text, at, brackets, addresses) {
  const middle = brackets[at];
  if (!middle) return null;
  const end = text[middle + 1] === "(" ? brackets[middle + 1] : 0;
  const start = middle + 2 + (text.startsWith("mailto:", middle + 2) ? 7 : 0);
  const label = text.slice(at + 1, middle);
  if (!end || addresses.get(start) !== end || !label.trim() || hasAddress(addresses, at, middle)) return null;
  const parts = [mark("["), ...inline(label, true), mark(text.slice(middle, end + 1))];
  return { part: { name: "a", parts, href: hrefOf(text.slice(start, end)) }, end: end + 1 };
}

function hasAddress(addresses, from, to) {
  for (const at of addresses.keys()) if (at > from) return at < to;
  return false;
}

const addressNode = (text) => ({ name: "a", parts: [text], href: hrefOf(text) });
