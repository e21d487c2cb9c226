/** Elements, made of templates and then only changed. Their text is always text. */
import { nameOf, partnerOf, titleOf } from "./store.js";

export const $ = (id) => document.getElementById(id);
export const rectOf = (element) => element.getBoundingClientRect();

// --- Elements --------------------------------------------------------------------

/** Let parts of an element, by their selectors, have a text or properties, or do something; what is so already is left alone. */
export function set(element, parts) {
  for (const [selector, value] of Object.entries(parts)) {
    const part = selector === ":scope" ? element : element.querySelector(selector);
    if (typeof value === "function") value(part);
    const properties = typeof value === "string" ? { textContent: value } : value;
    for (const [name, wanted] of Object.entries(properties)) if (part[name] !== wanted) part[name] = wanted;
  }
}

/** What `show` takes: an element made by a template, with parts as `set` takes them. */
export const item = (key, template, parts) => ({ key, template, parts });

/**
 * Let `parent` have one child for each of `items`. The element of a key is made once and
 * then only changed; so focus, selection and what a screen reader is at stay, too.
 */
export function show(parent, items) {
  const focused = document.activeElement;
  const keys = new Set(items.map(({ key }) => key));
  for (const element of [...parent.children]) if (!keys.has(element.dataset.key)) element.remove();
  const elements = new Map([...parent.children].map((element) => [element.dataset.key, element]));
  items.forEach(({ key, template, parts }, index) => {
    const element = elements.get(key) ?? $(template).content.firstElementChild.cloneNode(true);
    element.dataset.key = key;
    set(element, parts);
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  if (focused !== document.activeElement) focused.focus({ preventScroll: true }); // it was moved
}

/** What a disc with initials has: the colour is always the same for the same id. */
export function avatar(id, name, kind = "") {
  const initials = [...name.matchAll(/([\p{L}\p{N}])\S*/gu)].map(([, letter]) => letter).slice(0, 2).join("");
  const tint = Number.parseInt(id.slice(-1), 16) % 8;
  return { className: `avatar tint-${tint} ${kind}`, textContent: initials.toUpperCase() };
}
export const avatarOf = (person) => avatar(person.user_id, nameOf(person), person.is_online ? "online" : "");

/** A conversation looks like the other one of two, or like a group. */
export function pictureOf(conversation) {
  const other = partnerOf(conversation);
  return other ? avatarOf(other) : avatar(conversation.conversation_id, titleOf(conversation), "group");
}
