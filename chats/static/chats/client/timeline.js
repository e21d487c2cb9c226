/** The open conversation: its head, where it is scrolled to, and how far it is read. */
import { notify, on, pause } from "./changes.js";
import { $, pictureOf, rectOf, set, show } from "./draw.js";
import { attempt, errorOf } from "./forms.js";
import { closeMenu } from "./menus.js";
import { messageItems } from "./messages.js";
import * as s from "./store.js";
import { countOf, nameOf, partnerOf, state, titleOf, unreadOf } from "./store.js";
import { t } from "./texts.js";
import { shortly } from "./times.js";

const EDGE = 800; // pixels from an end of the messages at which more are loaded
const NEAR = 40; // pixels from the bottom that count as the bottom
let shown = null; // the timeline in the page
let isMarking = false; // the server is being told what is read, or was a moment ago

const above = () => $("scroller").scrollTop;
const below = () => $("scroller").scrollHeight - $("scroller").scrollTop - $("scroller").clientHeight;
const toBottom = () => ($("scroller").scrollTop = $("scroller").scrollHeight);
export const elementOf = (seq) => $("messages").querySelector(`[data-key="${seq}"]`);
export const hasMouse = () => matchMedia("(pointer: fine)").matches; // else a keyboard would cover half of the page

$("scroller").addEventListener("scroll", scrolled, { passive: true });
$("jump").onclick = () => attempt(goToEnd);
// Tab stops at the last message only; the arrow keys lead to the others.
$("messages").onkeydown = (event) => {
  const next = event.target[{ ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key]];
  if (!next?.matches("li")) return;
  next.focus();
  event.preventDefault();
};
// The composer grows, a phone's keyboard opens: the bottom stays the bottom.
new ResizeObserver(() => shown?.isAtBottom && toBottom()).observe($("scroller"));
addEventListener("focus", markRead);
document.addEventListener("visibilitychange", markRead);

export const shownTimeline = () => shown;

on("change", drawConversation);
function drawConversation() {
  const conversation = s.openConversation();
  $("app").classList.toggle("open", Boolean(state.wanted)); // on a phone: instead of the list
  $("conversation").classList.toggle("none", !state.timeline);
  if (conversation) {
    if (shown === state.timeline) draw(conversation);
    else enter(conversation);
    scrolled();
  } else if (!state.timeline) {
    const isSearching = document.activeElement === $("search");
    if (shown && !state.wanted && !isSearching) $("list").querySelector(`[href="#/c/${shown.id}"]`)?.focus(); // where one comes back from
    if (shown) closeMenu(); // otherwise it is one of the list
    shown = null;
    $("messages").replaceChildren(); // one may not see them any more
    $("hint").textContent = t(state.wanted ? "list.loading" : "conversation.choose");
  }
}

function enter(conversation) {
  const before = shown;
  shown = state.timeline;
  draw(conversation);
  const isAnother = before?.id !== shown.id;
  const isElsewhere = isAnother || shown.isLed;
  if (isAnother) {
    closeMenu();
    notify("shown", shown);
  }
  if (!isElsewhere && !before.isAtBottom) return; // loaded anew: one stays where one is
  const target = elementOf(shown.target);
  const place = target ?? $("messages").querySelector(".divider");
  if (place) bringUp(place, target ? (rectOf($("scroller")).height - rectOf(target).height) / 2 : 60);
  else toBottom();
  // Where one wants to be: with the message found, or writing.
  const focused = target ?? (hasMouse() ? $("text") : $("title"));
  if (isElsewhere && !document.querySelector("dialog[open]")) focused.focus({ preventScroll: true });
}

/** Scroll until an element is so many pixels below the upper edge, if it can be; nothing but the messages moves. */
function bringUp(element, space) {
  $("scroller").scrollTop += rectOf(element).top - rectOf($("scroller")).top - Math.max(space, 0);
}

/** Draw what has changed; what one looks at stays where it is. */
function draw(conversation) {
  const wasAtBottom = shown.isAtBottom && below() < NEAR; // the event of scrolling may be yet to come
  const edge = rectOf($("scroller")).top;
  const anchor = [...$("messages").querySelectorAll(".message")].find((message) => rectOf(message).bottom > edge);
  const top = anchor && rectOf(anchor).top;
  set($("head"), { ".avatar": pictureOf(conversation), "h2 bdi": titleOf(conversation), p: aboutPeople(conversation) });
  show($("messages"), messageItems(conversation, shown));
  const typing = [...conversation.typing.keys()].map((id) => t("conversation.typing", { name: nameOf(state.people.get(id)) }));
  $("typing").textContent = typing.join(" ");
  if (wasAtBottom) toBottom();
  else if (anchor?.isConnected) $("scroller").scrollTop += rectOf(anchor).top - top;
}

function scrolled() {
  const conversation = s.openConversation();
  if (!shown || !conversation) return;
  shown.isAtBottom = below() < NEAR && s.isAtEnd(shown);
  const unread = unreadOf(conversation);
  $("jump").hidden = shown.isAtBottom;
  $("jump").lastElementChild.textContent = unread > 0 ? t("messages.count_new", { count: unread }) : "";
  // Unless one has scrolled away until they are there: perhaps to what would be let go.
  if (above() < EDGE && s.firstOf(shown) > 1) s.extend(true, () => above() < EDGE);
  else if (below() < EDGE && !s.isAtEnd(shown)) s.extend(false, () => below() < EDGE);
  markRead();
}

export async function goToEnd() {
  history.replaceState(history.state, "", `#/c/${shown.id}`); // to load the page again leads here, too
  state.target = shown.target = null;
  if (!s.isAtEnd(shown)) await s.open(shown.id, Infinity);
  drawConversation();
  toBottom();
  scrolled();
}

function aboutPeople(conversation) {
  const other = partnerOf(conversation);
  if (!other) return countOf(conversation);
  if (other.is_online) return t("conversation.online");
  const { last_seen_at: time } = other;
  return time ? t("conversation.last_seen", { time: shortly(time) }) : t("conversation.offline");
}

const MARK_EVERY = 1_000; // milliseconds at least from telling it once to telling it again

/** Tell the server how far I have read, whenever I am looking at more. */
async function markRead() {
  const conversation = s.openConversation();
  if (isMarking || !shown || !conversation || unreadOf(conversation) < 1) return;
  const message = lastSeen(conversation);
  if (!message) return;
  isMarking = true;
  const error = await errorOf(s.markRead(message));
  await pause(error ? error.retryAfter * 1000 || 5_000 : MARK_EVERY);
  isMarking = false;
  markRead(); // what was seen meanwhile
}

/** The last message I have seen the whole of, if it is new: none where I jumped over others that are. */
function lastSeen({ read }) {
  const last = read.get(state.me.user_id);
  if (document.hidden || !document.hasFocus()) return null;
  if (shown.isAtBottom) return shown.messages.at(-1);
  if (s.firstOf(shown) > last + 1) return null;
  const edge = rectOf($("scroller")).bottom;
  const seen = [...$("messages").querySelectorAll(".message")].findLast((element) => rectOf(element).bottom <= edge);
  return shown.messages.find(({ seq }) => seq > last && seen?.dataset.key === String(seq));
}
