/** Emoji: a picker with a search, and `:smile:` completed while one types. */
import { $, item, rectOf, set, show } from "./draw.js";
import { attempt } from "./forms.js";
import { t } from "./texts.js";

const picker = $("emoji");
const search = picker.querySelector("input");
const text = $("text");
const MOST = 6; // completions

// --- The table -------------------------------------------------------------------

let loading = null;
/** The emoji by group, each as [emoji, name, words]; loaded when first needed, and tried again if that fails. */
const table = () =>
  (loading ??= fetch(picker.dataset.table)
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error())))
    .catch(() => {
      loading = null;
      throw new Error(t("emoji.not_loaded"));
    }));

/** Whether each word of the search begins a word of the emoji. */
const fits = ([, name, words], wanted) =>
  wanted.every((word) => name.startsWith(word) || words.split(" ").some((other) => other.startsWith(word)));

const wordsOf = (searched) => searched.toLowerCase().split(/[\s_:]+/).filter(Boolean);

/** Put an emoji at the caret, in place of what is chosen. */
function insert(emoji, start = text.selectionStart, end = text.selectionEnd) {
  text.setRangeText(emoji, start, end, "end");
  text.dispatchEvent(new InputEvent("input"));
}

// --- The picker ------------------------------------------------------------------

const buttons = () => [...picker.querySelectorAll(".choices button")];

async function draw() {
  const wanted = wordsOf(search.value);
  const groups = Object.entries(await table()).map(([name, all]) => [name, all.filter((emoji) => fits(emoji, wanted))]);
  const found = groups.filter(([, all]) => all.length);
  show(picker.querySelector(".groups"), found.map(([name, all]) => item(name, "emoji-group", {
    h3: labelOf(name),
    ".choices": (choices) => {
      choices.ariaLabel = labelOf(name);
      show(choices, all.map(choice));
    },
  })));
  set(picker, { ".hint": found.length ? "" : t("emoji.none") });
  buttons().forEach((button, at) => (button.tabIndex = at ? -1 : 0));
}

const labels = {
  smileys: t("emoji.smileys"), people: t("emoji.people"), hearts: t("emoji.hearts"), nature: t("emoji.nature"),
  food: t("emoji.food"), activities: t("emoji.activities"), travel: t("emoji.travel"), objects: t("emoji.objects"),
  symbols: t("emoji.symbols"),
};
const labelOf = (group) => labels[group];

const choice = ([emoji, name]) =>
  item(name, "emoji-choice", {
    ":scope": { textContent: emoji, ariaLabel: name.replaceAll("_", " "), title: `:${name}:`, onclick: () => choose(emoji) },
  });

function choose(emoji) {
  picker.hidePopover();
  insert(emoji);
  text.focus();
}

search.oninput = () => attempt(draw);
picker.ontoggle = ({ newState }) => {
  const isOpen = newState === "open";
  $("pick-emoji").ariaExpanded = String(isOpen);
  if (!isOpen) return;
  search.value = "";
  attempt(draw);
  const { left, top } = rectOf($("pick-emoji"));
  const { width, height } = rectOf(picker);
  picker.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  picker.style.top = `${Math.max(8, top - height - 8)}px`;
  search.focus();
};

// Tab stops at the search and at one emoji; the arrow keys lead to the others.
picker.onkeydown = (event) => {
  if (event.target === search && event.key === "ArrowDown") go(buttons()[0], event);
  else if (event.target === search && event.key === "Enter") buttons()[0]?.click();
  else if (event.target.closest(".choices")) go(neighbour(event.target, event.key), event);
};

function go(button, event) {
  if (!button) return;
  buttons().forEach((other) => (other.tabIndex = other === button ? 0 : -1));
  button.focus();
  event.preventDefault();
}

/** The emoji that a key leads to: in the row, or in the nearest row above or below. */
function neighbour(button, key) {
  const all = buttons();
  const at = all.indexOf(button);
  const toLeft = document.documentElement.dir === "rtl" ? 1 : -1;
  if (key === "ArrowLeft" || key === "ArrowRight") return all[at + (key === "ArrowLeft" ? toLeft : -toLeft)];
  if (key === "Home" || key === "End") return all.at(key === "Home" ? 0 : -1);
  if (key === "ArrowUp" && at === 0) return search;
  const { left, top } = rectOf(button);
  const isAway = { ArrowUp: (other) => other.top < top - 4, ArrowDown: (other) => other.top > top + 4 }[key];
  if (!isAway) return null;
  const far = ({ rect }) => Math.abs(rect.top - top) * 1_000 + Math.abs(rect.left - left);
  const others = all.map((other) => ({ other, rect: rectOf(other) })).filter(({ rect }) => isAway(rect));
  return others.reduce((best, next) => (best && far(best) <= far(next) ? best : next), null)?.other;
}

// --- Completing ------------------------------------------------------------------

const list = $("completions");
const BEGUN = /(?:^|\s):([a-z\d_+]{2,30})(:?)$/;
let begun = null; // {start, end} of what is completed
const chosen = () => list.querySelector("[aria-selected=true]");

text.addEventListener("input", () => complete().catch(close)); // a table that is not there completes nothing

async function complete() {
  const caret = text.selectionEnd;
  const [, name, end] = text.value.slice(Math.max(0, caret - 33), caret).match(BEGUN) ?? [];
  if (!name) return close();
  const all = Object.values(await table()).flat();
  if (text.selectionEnd !== caret) return; // one has written on
  const start = caret - name.length - 1 - end.length;
  if (end) {
    const exact = all.find(([, other]) => other === name);
    close();
    return exact && insert(exact[0], start, caret);
  }
  const found = all.filter((emoji) => fits(emoji, wordsOf(name)));
  const first = found.filter(([, other]) => other.startsWith(name));
  begun = { start, end: caret };
  offer([...new Set([...first, ...found])].slice(0, MOST));
}

function offer(found) {
  list.hidden = !found.length;
  show(list, found.map(([emoji, name], at) =>
    item(name, "completion", {
      ":scope": { id: `completion-${at}`, ariaSelected: String(!at), onclick: () => take(emoji) },
      ".emoji": emoji,
      ".name": `:${name}:`,
    })));
  text.setAttribute("aria-activedescendant", found.length ? "completion-0" : "");
}

function close() {
  list.hidden = true;
  begun = null;
  text.removeAttribute("aria-activedescendant");
}

function take(emoji) {
  const { start, end } = begun;
  close();
  insert(emoji, start, end);
  text.focus();
}

/** Choose the completion so many further on. */
function move(by) {
  const options = [...list.children];
  const next = options.at((options.indexOf(chosen()) + by) % options.length);
  options.forEach((option) => (option.ariaSelected = String(option === next)));
  text.setAttribute("aria-activedescendant", next.id);
}

const keys = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  Enter: () => chosen().click(),
  Tab: () => chosen().click(),
  Escape: close,
};
// Before the composer's own: there Enter sends.
text.addEventListener("keydown", (event) => {
  if (list.hidden || !(event.key in keys) || event.isComposing) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  keys[event.key]();
}, { capture: true });
text.addEventListener("blur", (event) => list.contains(event.relatedTarget) || setTimeout(close, 200)); // after a click in it
