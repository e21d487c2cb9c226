/** Links past what comes first, for those who use the keyboard. */
import { $ } from "./draw.js";

const target = {
  list: () => $("list").querySelector("[aria-current], a") ?? $("new"),
  messages: () => $("messages").querySelector("[tabindex='0']") ?? $("title"),
};
for (const link of document.querySelectorAll(".skip")) {
  link.onclick = (event) => {
    event.preventDefault(); // the address says which conversation is open
    target[link.hash.slice(1)]().focus();
  };
}
