/** The menu of what can be done with something: each module adds the actions that it knows. */
import { $, item, rectOf, show } from "./draw.js";
import { t } from "./texts.js";

const menu = $("menu");
const actions = { message: [], conversation: [], account: [] };
const itemsOf = () => [...menu.children];

/**
 * Add an action to the menu of a kind of thing: `{ name, icon, isFor, act, isDangerous }`.
 * Its text is `KIND.actions.NAME`; `isFor(thing)` says whether the thing has it.
 */
export const addAction = (kind, action) => actions[kind].push(action);

export const hasActions = (kind, thing) => actions[kind].some(({ isFor }) => isFor(thing));

let opener = null; // the element that the menu belongs to

/**
 * Aim the menu at a thing: it will open beside the element, which shows whether it is open, or
 * at the place of an event, as a right click has one.
 */
export function aim(kind, thing, element, { clientX: left, clientY: top } = {}) {
  const offered = actions[kind].filter(({ isFor }) => isFor(thing));
  menu.ariaLabel = t(`${kind}.menu`);
  show(menu, offered.map(({ name, icon, act, isDangerous }) =>
    item(name, "action", {
      ":scope": { className: isDangerous ? "danger" : "", onclick: () => act(thing) },
      use: (use) => use.setAttribute("href", `#${icon}`),
      span: t(`${kind}.actions.${name}`),
    })));
  if (opener !== element) closeMenu();
  opener = element;
  menu.ontoggle = ({ newState }) => {
    const isOpen = newState === "open";
    if (element.ariaExpanded) element.ariaExpanded = String(isOpen);
    if (!isOpen) return;
    putBeside(left === undefined ? rectOf(element) : { left, top, bottom: top });
    itemsOf()[0].focus();
  };
}

/** Open the menu of a thing, unless nothing can be done with it: as `aim` says. */
export function openMenu(kind, thing, element, event) {
  if (!hasActions(kind, thing)) return;
  closeMenu();
  aim(kind, thing, element, event);
  menu.showPopover();
}

/** Close the menu; where one was in it, the focus goes back to the element, or to what is in it. */
export function closeMenu() {
  const hasFocus = menu.contains(document.activeElement);
  menu.hidePopover();
  if (!hasFocus) return;
  opener.focus({ preventScroll: true });
  if (document.activeElement !== opener) opener.querySelector("a, button, [tabindex]")?.focus({ preventScroll: true });
}

/** Put the menu below a place, or above it where there is no space. */
function putBeside({ left, top, bottom }) {
  const { width, height } = rectOf(menu);
  menu.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  menu.style.top = `${bottom + height + 8 < innerHeight ? bottom : Math.max(8, top - height)}px`;
}

// A popover of the kind "auto" would close when the finger is lifted that opened it by a long press.
document.addEventListener("pointerdown", ({ target }) => !menu.contains(target) && target.closest("[popovertarget]") !== opener && closeMenu());
// Closed first, it gives the focus back; then the action does its own.
menu.addEventListener("click", closeMenu, { capture: true });
menu.onkeydown = (event) => {
  const items = itemsOf();
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Tab" || event.key === "Escape") closeMenu();
  if (next === undefined) return;
  items.at(next % items.length).focus();
  event.preventDefault();
};
