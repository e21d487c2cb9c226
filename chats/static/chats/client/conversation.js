/**
 * The open conversation. Of its messages at most SHOWN are in the page, a window on
 * those loaded; it moves on as one scrolls, and what one looks at stays where it is.
 */
import { call } from "./api.js";
import * as composer from "./composer.js";
import { attempt, avatar, bdi, clock, dayOf, h, icon, iconButton, reconcile } from "./dom.js";
import { messageItems } from "./messages.js";
import { extend, firstOf, isAtEnd, lastOf, nameOf, notices, open, openConversation, othersOf, state, titleOf, unreadOf } from "./state.js";

const SHOWN = 200; // messages in the page
const STEP = 60; // by how many the window moves
const EDGE = 800; // pixels from an end of the page at which it does
const NEAR = 40; // pixels from the bottom that count as the bottom

let root, head, scroller, list, jump, typing, empty;
let shown = { room: null, from: 1, to: 0, last: 0 };
let isStuck = true; // at the bottom, where new messages push the others up
let bottom = 0; // where it was scrolled to then
let isMoving = false;
let marked = ""; // the last message told to the server as read

export function mount(element) {
  root = element;
  head = h("header", {});
  list = h("ol", { class: "messages", "aria-label": "Messages", onkeydown: moveFocus });
  jump = h("button", { type: "button", class: "jump", onclick: () => attempt(goToEnd) }, icon("down"), h("span", {}));
  typing = h("p", { class: "typing" });
  empty = h("div", { class: "empty" });
  scroller = h("div", { class: "scroll" }, list);
  scroller.addEventListener("scroll", scrolled, { passive: true });
  root.replaceChildren(head, scroller, jump, typing, composer.mount({ goToEnd }), empty);
  // The composer grows, a phone's keyboard opens: the bottom stays the bottom.
  new ResizeObserver(() => staysAtBottom() && toBottom()).observe(scroller);
  addEventListener("focus", markRead);
  document.addEventListener("visibilitychange", markRead);
  notices.addEventListener("message", divide);
}

/** Where somebody who opens a conversation wants to be: writing, or with the message found. */
export function focus() {
  if (!state.room || document.querySelector("dialog[open]")) return;
  const target = state.room.target && elementOf(state.room.target);
  if (target) target.focus({ preventScroll: true });
  else if (matchMedia("(pointer: fine)").matches) composer.focus();
  else head.querySelector("h2")?.focus();
}

export function render() {
  const conversation = openConversation();
  root.classList.toggle("is-empty", !conversation);
  if (!conversation) {
    shown = { room: null };
    for (const part of [head, list]) part.replaceChildren(); // what one may not see any more is not kept
    empty.replaceChildren(...welcome());
    return;
  }
  if (shown.room !== state.room) enter(conversation);
  else if (shown.to === shown.last) follow();
  draw(conversation);
  markRead();
}

function welcome() {
  if (state.wanted) return [h("p", {}, "Loading…")];
  return [icon("send"), h("p", {}, state.conversations.size ? "Choose a conversation, or start a new one." : "Start a conversation, and it appears here.")];
}

// --- The window ----------------------------------------------------------------------

function enter(conversation) {
  const room = state.room;
  const target = room.target ?? room.newAfter;
  const to = target ? Math.min(lastOf(room), target + SHOWN / 2) : lastOf(room);
  shown = { room, from: Math.max(firstOf(room), to - SHOWN + 1), to, last: lastOf(room) };
  isStuck = false;
  composer.enter(conversation);
  list.replaceChildren();
  draw(conversation);
  const place = room.target ? elementOf(room.target) : list.querySelector(".divider");
  if (place) place.scrollIntoView({ block: room.target ? "center" : "start" });
  else toBottom();
  if (room.target) place?.classList.add("found");
  scrolled();
}

/** New messages have come at the end, which is shown: let the window follow. */
function follow() {
  shown.to = shown.last = lastOf(shown.room);
  shown.from = Math.max(shown.from, shown.to - SHOWN + 1);
}

function draw(conversation) {
  const wasStuck = staysAtBottom();
  const anchor = !wasStuck && firstVisible();
  const top = anchor && anchor.getBoundingClientRect().top;
  shown.last = lastOf(shown.room);
  drawHead(conversation);
  reconcile(list, messageItems(conversation, shown, { edit: composer.edit }));
  drawEnd(conversation);
  if (wasStuck) return toBottom();
  const now = anchor && (anchor.isConnected ? anchor : list.querySelector(`[data-key="${anchor.dataset.key}"]`));
  if (now) scroller.scrollTop += now.getBoundingClientRect().top - top;
}

function firstVisible() {
  const top = scroller.getBoundingClientRect().top;
  return [...list.children].find((element) => element.matches(".message") && element.getBoundingClientRect().bottom > top);
}

const elementOf = (seq) => list.querySelector(`[data-seq="${seq}"]`);
function toBottom() {
  scroller.scrollTop = scroller.scrollHeight;
  bottom = scroller.scrollTop;
}
/** Whether to stay at the bottom; not if one has scrolled up and the event is yet to come. */
const staysAtBottom = () => isStuck && scroller.scrollTop > bottom - NEAR;
const below = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;

function scrolled() {
  if (!shown.room) return;
  isStuck = below() < NEAR && shown.to === lastOf(shown.room) && isAtEnd(shown.room);
  if (isStuck) bottom = scroller.scrollTop;
  const conversation = openConversation();
  if (conversation) drawEnd(conversation);
  if (scroller.scrollTop < EDGE && shown.from > 1) move(true);
  else if (below() < EDGE && !(shown.to === lastOf(shown.room) && isAtEnd(shown.room))) move(false);
  markRead();
}

/** Move the window towards older or newer messages, loading them if need be. */
async function move(isOlder) {
  if (isMoving) return;
  isMoving = true;
  const { room } = shown;
  try {
    const isAtEdge = isOlder ? shown.from === firstOf(room) : shown.to === lastOf(room);
    if (isAtEdge) await extend(room, isOlder);
  } catch {
    return; // the next bit of scrolling tries again
  } finally {
    isMoving = false;
  }
  if (room !== shown.room || room !== state.room) return;
  if (isOlder) {
    shown.from = Math.max(firstOf(room), shown.from - STEP);
    shown.to = Math.min(shown.to, shown.from + SHOWN - 1);
  } else {
    shown.to = Math.min(lastOf(room), shown.to + STEP);
    shown.from = Math.max(shown.from, shown.to - SHOWN + 1);
  }
  draw(openConversation());
  scrolled();
}

async function goToEnd() {
  const { room } = state;
  if (!isAtEnd(room)) await open(room.id, openConversation().last_seq);
  shown.to = lastOf(state.room);
  shown.from = Math.max(firstOf(state.room), shown.to - SHOWN + 1);
  isStuck = true;
  bottom = 0;
  render();
}

// --- Around the messages ---------------------------------------------------------------

function drawHead(conversation) {
  const { conversation_id: id } = conversation;
  const [title, about] = [titleOf(conversation), aboutPeople(conversation)];
  const isPair = conversation.participant_count === 2;
  const [other] = othersOf(conversation);
  const isOnline = isPair && other?.is_online;
  const build = () =>
    h("div", { class: "head" },
      h("a", { class: "icon back", href: "#/", "aria-label": "Back to all conversations" }, icon("back")),
      avatar(isPair ? (other?.user_id ?? id) : id, title, { isOnline, isGroup: !isPair }),
      h("div", { class: "names" }, h("h2", { tabindex: "-1" }, bdi(title)), h("p", { title: about.exact }, about.text)),
      iconButton("people", "People and settings", () => manage(id)));
  reconcile(head, [{ key: id, from: [title, about.text, isOnline], build }]);
}

function aboutPeople(conversation) {
  const others = othersOf(conversation);
  const online = others.filter((person) => person?.is_online).length;
  if (conversation.participant_count === 2 && others[0]) {
    const { is_online, last_seen_at } = others[0];
    const isKnown = !is_online && last_seen_at;
    if (!isKnown) return { text: is_online ? "Online" : "Offline" };
    return { text: `Last seen ${dayOf(last_seen_at).toLowerCase()}, ${clock(last_seen_at)}`, exact: new Date(last_seen_at).toLocaleString() };
  }
  const people = conversation.participant_count === 1 ? "Only you" : `${conversation.participant_count} people`;
  return { text: online ? `${people}, ${online} online` : people };
}

function drawEnd(conversation) {
  const who = [...(state.typing.get(conversation.conversation_id)?.keys() ?? [])].map((id) => nameOf(state.people.get(id)));
  const text = who.length > 2 ? "Several people are typing…" : who.length ? `${who.join(" and ")} ${who.length > 1 ? "are" : "is"} typing…` : "";
  if (typing.textContent !== text) typing.replaceChildren(bdi(text));
  const unread = unreadOf(conversation);
  jump.hidden = isStuck || (below() < NEAR && isAtEnd(shown.room));
  jump.lastElementChild.textContent = unread ? `${unread} new` : "";
  jump.setAttribute("aria-label", unread ? `Go to the newest messages, ${unread} new` : "Go to the newest messages");
}

/** What comes while nobody looks is below the line when they look again. */
function divide({ detail: { conversation, message } }) {
  const { room } = state;
  if (room?.id === conversation.conversation_id && room.newAfter === null && !document.hasFocus()) room.newAfter = message.seq - 1;
}

/** Tell the server how far I have read: to the end, if that is what I am looking at. */
function markRead() {
  const conversation = openConversation();
  if (!conversation || !isStuck || document.hidden || !document.hasFocus() || unreadOf(conversation) < 1) return;
  const { message_id: id } = state.room.messages.at(-1);
  if (marked === id) return;
  marked = id;
  call("POST", `messages/${id}/mark_as_read/`).catch(() => (marked = ""));
}

function moveFocus(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.matches("li")) return;
  const messages = [...list.querySelectorAll("li[data-seq]")];
  messages[messages.indexOf(event.target) + step]?.focus();
  event.preventDefault();
}

async function manage(id) {
  (await import("./dialogs.js")).manageConversation(id);
}

