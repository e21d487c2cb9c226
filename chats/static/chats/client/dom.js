/** Builds what is seen. Text is always text: nothing here, or anywhere, parses HTML. */

/** Make an element: `h("a", {href, onclick}, "text", anotherElement)`. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const ICONS = {
  back: "M15 5l-7 7 7 7", close: "M6 6l12 12M18 6L6 18", down: "M6 10l6 6 6-6", plus: "M12 5v14M5 12h14",
  edit: "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4", trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-3.5 3-6 6.5-6s6.5 2.5 6.5 6M16 4.500a3.5 3.5 0 0 1 0 6M18 14.500c2 .8 3.5 2.8 3.5 5.5",
  out: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9", send: "M4 12l16-8-5 16-3.5-6.500z", search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
};
export function icon(name) {
  const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
/** A button that shows a picture and is called by its label. */
export const iconButton = (name, label, onclick, attributes = {}) =>
  h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick, ...attributes }, icon(name));

// --- Lists that change -------------------------------------------------------------

const made = new WeakMap(); // element -> {key, from}

/**
 * Make the children of `parent` those of `items`: [{key, from, build}], `from` being all
 * that `build` looks at. An element whose `from` is the same stays; so focus, selection
 * and what a screen reader is at stay, too.
 */
export function reconcile(parent, items) {
  const focused = document.activeElement;
  const before = new Map([...parent.children].map((element) => [made.get(element)?.key, element]));
  const wanted = new Set(items.map((item) => item.key));
  for (const [key, element] of before) if (!wanted.has(key)) element.remove();
  let place = parent.firstElementChild;
  for (const { key, from, build } of items) {
    let element = before.get(key);
    const isSame = element && from.every((value, index) => value === made.get(element).from[index]);
    if (!isSame) {
      const old = element;
      element = build();
      made.set(element, { key, from });
      if (old) {
        if (place === old) place = element;
        replace(old, element);
      }
    }
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  if (parent.contains(focused) && focused !== document.activeElement) focused.focus(); // it was moved
}

function replace(old, element) {
  const hadFocus = old.contains(document.activeElement);
  old.replaceWith(element);
  if (hadFocus) (element.matches("[tabindex], a") ? element : element.querySelector("a, button"))?.focus();
}

// --- Text ----------------------------------------------------------------------------

// Neither blanks nor marks that turn the direction, which could show another address.
const ADDRESS = /https?:\/\/[^\s<>"'`\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gi;

/** Text as nodes, with links where it has web addresses, and no other. */
export function linked(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const shown = match[0].replace(/[.,;:!?)\]}…]+$/u, "");
    const url = URL.canParse(shown) && new URL(shown);
    if (!url || !["http:", "https:"].includes(url.protocol)) continue;
    nodes.push(text.slice(end, match.index));
    nodes.push(h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, shown));
    end = match.index + shown.length;
  }
  return [...nodes, text.slice(end)];
}

/** A name or a title, whose direction says nothing to the text around it. */
export const bdi = (text) => h("bdi", {}, text);

const hash = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7);
const initials = (name) => {
  const words = name.split(/\s+/).map((word) => word.match(/[\p{L}\p{N}]/u)?.[0]).filter(Boolean);
  return ([words[0], words.length > 1 && words.at(-1)].filter(Boolean).join("") || "?").toUpperCase();
};
/** A disc with initials; the colour is always the same for the same id. */
export const avatar = (id, name, { isOnline = false, isGroup = false } = {}) =>
  h("span", { class: `avatar tint-${hash(id) % 8}${isGroup ? " group" : ""}${isOnline ? " online" : ""}`, "aria-hidden": "true" }, initials(name));

// --- Times ---------------------------------------------------------------------------

const DAY = 86_400_000;
const format = (options) => new Intl.DateTimeFormat(undefined, options);
const EXACT = format({ dateStyle: "full", timeStyle: "medium" });
const CLOCK = format({ timeStyle: "short" });
const WEEKDAY = format({ weekday: "short" });
const SHORT = format({ day: "numeric", month: "short" });
const LONG = format({ weekday: "long", day: "numeric", month: "long" });
const YEAR = format({ dateStyle: "long" });
const MINUTES = new Intl.NumberFormat(undefined, { style: "unit", unit: "minute" });

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
const daysAgo = (date) => Math.round((midnight(new Date()) - midnight(date)) / DAY);
export const isSameDay = (a, b) => midnight(new Date(a)).getTime() === midnight(new Date(b)).getTime();
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export function dayOf(time) {
  const date = new Date(time), days = daysAgo(date);
  if (days < 2) return capital(new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(-days, "day"));
  return (date.getFullYear() === new Date().getFullYear() ? LONG : YEAR).format(date);
}
export const clock = (time) => CLOCK.format(new Date(time));
export function ago(time) {
  const date = new Date(time), minutes = Math.floor((Date.now() - date) / 60_000), days = daysAgo(date);
  if (minutes < 1) return "now";
  if (minutes < 60) return MINUTES.format(minutes);
  if (days < 1) return CLOCK.format(date);
  return days < 7 ? WEEKDAY.format(date) : SHORT.format(date);
}
/** A time, short to the eye, exact when pointed at. */
export const timeTag = (time, text) => h("time", { datetime: time, title: EXACT.format(new Date(time)) }, text);

// --- Telling -------------------------------------------------------------------------

const place = (id) => document.getElementById(id);

/** Have a screen reader say it. */
export function announce(text) {
  place("announcer").replaceChildren(h("p", {}, text));
}
/** Show a message that goes by itself. */
export function toast(text) {
  const card = h("div", { class: "toast" }, h("p", { dir: "auto" }, text), iconButton("close", "Close this message", () => card.remove()));
  place("toasts").append(card);
  setTimeout(() => card.remove(), 8_000);
}
/** Do it; when it fails, say why and go on. Whether it worked. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}
