/** What the keyboard does, wherever one is on the page; a dialog lists it. */
import { $, rectOf } from "./draw.js";
import { openConversation } from "./store.js";
import { hasMouse } from "./timeline.js";

const isCovered = () => $("app").hidden || document.querySelector("dialog[open]");
const isField = (element) => element.matches("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  const { key, altKey, ctrlKey, metaKey, shiftKey, target } = event;
  if (event.isComposing || isCovered()) return;
  const act =
    (ctrlKey !== metaKey && !altKey && !shiftKey && key.toLowerCase() === "k" && goToSearch) ||
    (altKey && !ctrlKey && !metaKey && !shiftKey && { ArrowUp: goToPrevious, ArrowDown: goToNext }[key]) ||
    (key === "?" && !isField(target) && showKeys);
  if (!act) return;
  event.preventDefault();
  act();
});

const showKeys = () => $("keys").showModal();

// --- Searching ---------------------------------------------------------------------

function goToSearch() {
  if (!$("search").checkVisibility()) location.hash = "#/"; // on a phone a conversation covers it
  $("app").classList.remove("open");
  $("search").focus();
  $("search").select();
}

$("sidebar").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !$("search").value) return;
  event.preventDefault();
  $("search").value = "";
  $("search").oninput();
  (openConversation() && hasMouse() ? $("text") : $("search")).focus();
});

// --- Through the conversations -------------------------------------------------------

const goToPrevious = () => goBy(-1);
const goToNext = () => goBy(1);

/** Open the conversation that is so many after the open one in the list; none is open: the first. */
function goBy(step) {
  const links = [...$("list").querySelectorAll("a")];
  const at = links.findIndex(({ ariaCurrent }) => ariaCurrent);
  const link = links[at < 0 ? 0 : at + step];
  if (!link) return;
  link.scrollIntoView({ block: "nearest" });
  location.hash = link.hash;
}

// --- Through the messages ------------------------------------------------------------

$("messages").addEventListener("keydown", (event) => {
  const { key, target, altKey, ctrlKey, metaKey, shiftKey } = event;
  if (altKey || ctrlKey || metaKey || shiftKey || target.parentElement !== $("messages")) return;
  const items = [...$("messages").children];
  const height = rectOf($("scroller")).height;
  const distanceTo = (element) => rectOf(element).top - rectOf(target).top;
  const found = {
    Home: () => items[0],
    End: () => items.at(-1),
    PageUp: () => items.findLast((element) => distanceTo(element) <= -height) ?? items[0],
    PageDown: () => items.find((element) => distanceTo(element) >= height) ?? items.at(-1),
  }[key]?.();
  if (!found) return;
  event.preventDefault();
  found.focus();
});
