/** A message's menu by right click, long press and the keyboard's menu key: what its button does. */
import { $ } from "./draw.js";

$("messages").addEventListener("contextmenu", (event) => {
  const isBrowsers = event.target.closest("a") || !getSelection().isCollapsed; // for links and chosen text it has its own
  const button = event.target.closest(".message")?.querySelector(".more");
  if (isBrowsers || !button?.checkVisibility()) return;
  event.preventDefault();
  button.click();
});
