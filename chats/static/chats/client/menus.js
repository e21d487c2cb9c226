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

/** Aim the menu at a thing: it will open beside the element, which shows whether it is open. */
export function aim(kind, thing, button) {
  const offered = actions[kind].filter(({ isFor }) => isFor(thing));
  menu.ariaLabel = t(`${kind}.menu`);
  show(menu, offered.map(({ name, icon, act, isDangerous }) =>
    item(name, "action", {
      ":scope": { className: isDangerous ? "danger" : "", onclick: () => act(thing) },
      use: (use) => use.setAttribute("href", `#${icon}`),
      span: t(`${kind}.actions.${name}`),
    })));
  menu.ontoggle = ({ newState }) => {
    const isOpen = newState === "open";
    button.ariaExpanded = String(isOpen);
    if (!isOpen) return;
    putBeside(button);
    itemsOf()[0].focus();
  };
}

export const closeMenu = () => menu.hidePopover();

/** Put the menu below the button, or above it where there is no space. */
function putBeside(button) {
  const { left, top, bottom } = rectOf(button);
  const { width, height } = rectOf(menu);
  menu.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  menu.style.top = `${bottom + height + 8 < innerHeight ? bottom : Math.max(8, top - height)}px`;
}

// Closed first, it gives the focus back to the button; then the action does its own.
menu.addEventListener("click", closeMenu, { capture: true });
menu.onkeydown = (event) => {
  const items = itemsOf();
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Tab") closeMenu();
  if (next === undefined) return;
  items.at(next % items.length).focus();
  event.preventDefault();
};
