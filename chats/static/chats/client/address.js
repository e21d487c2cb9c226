/** What the address says is open: #/c/CONVERSATION_ID and, for one message, /SEQ. */
import { on, pause } from "./changes.js";
import { $ } from "./draw.js";
import { errorOf, toast } from "./forms.js";
import * as s from "./store.js";
import { state } from "./store.js";

const ADDRESS = /^#\/c\/([\da-f-]{36})(?:\/(\d{1,9}))?$/;
const isPlain = ({ ctrlKey, metaKey, shiftKey }) => !(ctrlKey || metaKey || shiftKey); // else it opens in another tab

on("begin", () => {
  if (!history.state) history.replaceState({ isFromList: false }, "");
  addEventListener("hashchange", arrive);
  follow();
});

/** Note in a new entry of the browser's history whether it was opened from the list. */
function arrive({ oldURL }) {
  if (!history.state) history.replaceState({ isFromList: !ADDRESS.test(new URL(oldURL).hash) }, "");
  follow();
}

/** Go to the list: back, where one came from it. The browser's own Back then never leads forward. */
function goBack(event) {
  if (!isPlain(event)) return;
  event.preventDefault();
  if (history.state?.isFromList) history.back();
  else location.replace("#/");
}
for (const link of document.querySelectorAll(".back")) link.onclick = goBack;

let following = 0;
/** Open what the address says. While nothing is open, try until it works or something else is to be opened. */
async function follow() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const [, id, seq] = location.hash.match(ADDRESS) ?? [];
  const mine = ++following;
  for (let isFirst = true; isFirst || (mine === following && !state.timeline); isFirst = false) {
    const error = await errorOf(s.open(id, seq && Number(seq)));
    if (!error) return;
    if (isFirst && mine === following) toast(error.message);
    await pause(error.retryAfter * 1000 || 5_000);
  }
}

// What is open already is opened again, for one may have scrolled away.
$("sidebar").addEventListener("click", (event) => {
  if (isPlain(event) && event.target.closest("a")?.href === location.href) follow();
});
on("closed", (reason) => {
  history.replaceState(history.state, "", "#/");
  follow();
  toast(reason);
});
