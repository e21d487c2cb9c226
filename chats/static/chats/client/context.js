/** A message's menu by right click, long press and the keyboard's menu key: what its button does. */
import { $ } from "./draw.js";
import { onLongPress } from "./touch.js";

/** Open the menu of the message that the target is in; return whether there is one. */
function openMenuAt(target) {
  const button = target.closest(".message")?.querySelector(".more");
  if (!button?.checkVisibility()) return false;
  button.click();
  return true;
}

$("messages").addEventListener("contextmenu", (event) => {
  const isBrowsers = event.target.closest("a") || !getSelection().isCollapsed; // for links and chosen text it has its own
  if (!isBrowsers && openMenuAt(event.target)) event.preventDefault();
});
onLongPress($("messages"), ({ target }) => openMenuAt(target));
