/** What is seen: elements, whose text is always text; the list of conversations; the open one. */
import { call } from "./api.js";
import * as s from "./state.js";
import { isMe, nameOf, othersOf, shortNameOf, state, titleOf, unreadOf } from "./state.js";

export const $ = (id) => document.getElementById(id);

// --- Elements --------------------------------------------------------------------

/** Make an element: `h("a", {href, onclick}, "text", anotherElement)`. Nothing parses HTML. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value || value === 0) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child || child === 0));
  return element;
}

/** One of the pictures at the end of the page. */
function icon(name) {
  const [svg, use] = ["svg", "use"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}
export const iconButton = (name, label, onclick) =>
  h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick }, icon(name));
export const textButton = (kind, label, onclick) => h("button", { type: "button", class: kind, onclick }, label);

/** A name or a title, whose direction says nothing to the text around it. */
export const bdi = (text) => h("bdi", {}, text);

/** A disc with initials, or for a group a square; the colour is always the same for the same id. */
export function avatar(id, name, { isOnline, isGroup } = {}) {
  const tint = Number.parseInt(id.slice(-1), 16) % 8;
  const letters = name.split(/\s+/).map((word) => word.match(/[\p{L}\p{N}]/u)?.[0]).filter(Boolean);
  const initials = [letters[0], letters.length > 1 && letters.at(-1)].filter(Boolean).join("");
  const kind = `avatar tint-${tint}${isGroup ? " group" : ""}${isOnline ? " online" : ""}`;
  return h("span", { class: kind, "aria-hidden": "true" }, initials.toUpperCase() || "?");
}

// Neither blanks nor marks that turn the direction, which could show another address.
const ADDRESS = /https?:\/\/[^\s<>"'`\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gi;

/** Text as nodes, with links where it has web addresses, and no other. */
function linked(text) {
  const nodes = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    const shown = match.replace(/[.,;:!?)\]}…]+$/u, "");
    if (!URL.canParse(shown)) continue;
    const link = h("a", { href: new URL(shown).href, target: "_blank", rel: "noopener noreferrer nofollow" }, shown);
    nodes.push(text.slice(end, index), link);
    end = index + shown.length;
  }
  return [...nodes, text.slice(end)];
}

const formatter = (options) => new Intl.DateTimeFormat(undefined, options);
const CLOCK = formatter({ timeStyle: "short" });
const SHORT = formatter({ day: "numeric", month: "short" });
const DAY = formatter({ dateStyle: "full" });
const EXACT = formatter({ dateStyle: "full", timeStyle: "medium" });
const clock = (time) => CLOCK.format(new Date(time));
const dayOf = (time) => DAY.format(new Date(time));
const shortly = (time) => (dayOf(time) === dayOf(Date.now()) ? clock(time) : SHORT.format(new Date(time)));
/** A time, short to the eye, exact when pointed at. */
const timeTag = (time, text) => h("time", { datetime: time, title: EXACT.format(new Date(time)) }, text);

const made = new WeakMap(); // element -> {key, from}
/**
 * Make the children of `parent` those of `items`: [{key, from, build}], `from` being all
 * that `build` looks at. An element whose `from` is the same stays; so focus, selection
 * and what a screen reader is at stay, too.
 */
export function reconcile(parent, items) {
  const focused = document.activeElement;
  const before = new Map([...parent.children].map((element) => [made.get(element).key, element]));
  const after = items.map(({ key, from, build }) => {
    const old = before.get(key);
    if (old && from.every((value, index) => value === made.get(old).from[index])) return old;
    const element = build();
    made.set(element, { key, from });
    return element;
  });
  const kept = new Set(after);
  const key = [...before].find(([, element]) => element.contains(focused))?.[0];
  for (const element of before.values()) if (!kept.has(element)) element.remove();
  after.forEach((element, index) => {
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  if (key === undefined || focused === document.activeElement) return;
  // It was moved, or made anew.
  const place = focused.isConnected ? focused : after.find((element) => made.get(element).key === key);
  (place?.matches("[tabindex], a, button") ? place : place?.querySelector("a, button"))?.focus();
}

/** Let the arrow keys move the focus from one of the list's elements to the next. */
function walk(list, selector) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches(selector)) return;
    const all = [...list.querySelectorAll(selector)];
    all[all.indexOf(event.target) + step]?.focus();
    event.preventDefault();
  });
}

/** Have a screen reader say it. */
export const announce = (text) => $("announcer").replaceChildren(h("p", {}, text));
/** Show a message that goes by itself. */
export function toast(text) {
  const close = iconButton("close", "Close this message", () => card.remove());
  const card = h("div", { class: "toast" }, h("p", { dir: "auto" }, text), close);
  $("toasts").append(card);
  setTimeout(() => card.remove(), 8_000);
}
/** Do it; when it fails, say why and go on. Whether it worked. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

/**
 * Do it with the dialogs, which few visits need: `use(module)`. A server that has been
 * updated since this page was loaded may have them otherwise.
 */
const withDialogs = (use) =>
  attempt(async () => {
    const dialogs = await import("./dialogs.js").catch(() => {
      throw new Error("This cannot be loaded. Please try again, or load the page anew.");
    });
    await use(dialogs);
  });

/** Do it a moment after the last call. */
export function soon(action, milliseconds = 250) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(action), milliseconds);
  };
}

// --- The list of conversations ------------------------------------------------------

let found = null; // by the search

$("new").onclick = () => withDialogs((dialogs) => dialogs.startConversation());
$("more").onclick = () => attempt(s.loadMoreConversations);
$("search").oninput = soon(searchNow);
addEventListener("keydown", (event) => {
  if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  $("search").focus();
});
walk($("list"), "a");

async function searchNow() {
  const text = $("search").value.trim();
  const answer = text ? await s.search(text) : null;
  if (text !== $("search").value.trim()) return; // something else is searched by now
  found = answer;
  drawList();
}

const currentEntry = () => $("list").querySelector("[aria-current]") ?? $("list").querySelector("a");
export const focusList = () => currentEntry()?.focus();

export function drawList() {
  const items = found ? results(found) : s.byActivity().map(entry);
  reconcile($("list"), items);
  const stop = currentEntry(); // the only one Tab stops at; the arrow keys lead to the others
  for (const link of $("list").querySelectorAll("a")) link.tabIndex = link === stop ? 0 : -1;
  $("more").hidden = Boolean(found) || !state.nextConversations;
  const nothing = found ? `Nothing found for “${found.text}”.` : state.isLoaded ? "No conversations yet." : "Loading…";
  $("nothing").textContent = items.length ? "" : nothing;
}

function results({ conversations, messages }) {
  const heading = (text) => ({ key: text, from: [], build: () => h("li", { class: "heading" }, h("h2", {}, text)) });
  const entries = conversations.map((id) => state.conversations.get(id)).filter(Boolean).map(entry);
  return [
    ...(entries.length ? [heading("Conversations"), ...entries] : []),
    ...(messages.length ? [heading("Messages"), ...messages.map(hit)] : []),
  ];
}

function hit(message) {
  const { message_id, conversation, seq, sender, sent_at, message_body } = message;
  const name = nameOf(sender);
  const build = () =>
    listed(`#/c/${conversation}/${seq}`, {
      picture: avatar(sender.user_id, name), title: bdi(name), time: sent_at, preview: bdi(message_body.slice(0, 200)),
    });
  return { key: message_id, from: [message], build };
}

/** How a conversation is shown: by its title, or the other one of two. */
function looksOf(conversation) {
  const isGroup = conversation.participant_count !== 2;
  const other = isGroup ? null : othersOf(conversation)[0];
  const title = titleOf(conversation);
  const isOnline = Boolean(other?.is_online);
  const picture = () => avatar(other?.user_id ?? conversation.conversation_id, title, { isOnline, isGroup });
  return { isGroup, other, title, isOnline, picture };
}

function entry(conversation) {
  const { conversation_id: id, last_message: last, updated_at: time } = conversation;
  const { isGroup, title, isOnline, picture } = looksOf(conversation);
  const unread = unreadOf(conversation);
  const isCurrent = id === state.wanted;
  const isTyping = Boolean(state.typing.get(id)?.size);
  const build = () =>
    listed(`#/c/${id}`, {
      picture: picture(), time, unread, isCurrent,
      title: [bdi(title), isOnline && h("span", { class: "unseen" }, ", online")],
      preview: isTyping ? h("span", { class: "typing" }, "typing…") : previewOf(last, isGroup),
    });
  return { key: id, from: [unread, title, shortly(time), last, isOnline, isCurrent, isTyping], build };
}

function listed(href, { picture, title, time, preview, unread, isCurrent }) {
  const badge = unread > 0 && h("span", { class: "badge" }, unread, h("span", { class: "unseen" }, " unread"));
  return h("li", {},
    h("a", { class: unread ? "entry unread" : "entry", href, "aria-current": isCurrent && "page" },
      picture, h("span", { class: "title" }, title), timeTag(time, shortly(time)),
      h("span", { class: "preview" }, preview), badge));
}

function previewOf(message, isGroup) {
  if (!message) return "No messages yet";
  const { sender, deleted_at, message_body } = message;
  const who = isMe(sender.user_id) ? "You: " : isGroup && [bdi(shortNameOf(sender)), ": "];
  return [who, deleted_at ? h("i", {}, "Message deleted") : bdi(message_body.slice(0, 200))].flat();
}

// --- The open conversation ------------------------------------------------------------

const EDGE = 800; // pixels from an end of the messages at which more are loaded
const NEAR = 40; // pixels from the bottom that count as the bottom
let shown = null; // the room
let isExtending = false;
let marked = ""; // the last message told to the server as read

const below = () => $("scroller").scrollHeight - $("scroller").scrollTop - $("scroller").clientHeight;
const toBottom = () => ($("scroller").scrollTop = $("scroller").scrollHeight);
const elementOf = (seq) => $("messages").querySelector(`[data-seq="${seq}"]`);
const hasMouse = () => matchMedia("(pointer: fine)").matches; // else a keyboard would cover half of the page

$("scroller").addEventListener("scroll", scrolled, { passive: true });
$("jump").onclick = () => attempt(goToEnd);
walk($("messages"), "li[data-seq]");
// The composer grows, a phone's keyboard opens: the bottom stays the bottom.
new ResizeObserver(() => shown?.isAtBottom && toBottom()).observe($("scroller"));
addEventListener("focus", markRead);
document.addEventListener("visibilitychange", markRead);

export function drawConversation() {
  const conversation = s.openConversation();
  $("conversation").classList.toggle("is-empty", !conversation);
  if (!conversation) {
    shown = null;
    for (const part of [$("head"), $("messages")]) part.replaceChildren(); // one may not see it any more
    $("hint").textContent = state.wanted ? "Loading…" : "Choose a conversation, or start a new one.";
  } else if (shown === state.room) {
    draw(conversation);
  } else {
    enter(conversation);
  }
  markRead();
}

function enter(conversation) {
  shown = state.room;
  if (there !== shown.id) takeUp(shown.id);
  $("messages").replaceChildren();
  draw(conversation);
  const place = elementOf(shown.target) ?? $("messages").querySelector(".divider");
  if (!place) toBottom();
  else place.scrollIntoView({ block: shown.target ? "center" : "start" });
  if (shown.target) place?.classList.add("found");
  // Where one wants to be: writing, or with the message found.
  const focused = elementOf(shown.target) ?? (hasMouse() ? $("text") : $("head").querySelector("h2"));
  if (!document.querySelector("dialog[open]")) focused.focus({ preventScroll: true });
  scrolled();
}

/** Draw what has changed; what one looks at stays where it is. */
function draw(conversation) {
  const wasAtBottom = shown.isAtBottom && below() < NEAR; // the event of scrolling may be yet to come
  const edge = $("scroller").getBoundingClientRect().top;
  const messages = [...$("messages").querySelectorAll("li[data-seq]")];
  const anchor = messages.find((element) => element.getBoundingClientRect().bottom > edge);
  const top = anchor?.getBoundingClientRect().top;
  drawHead(conversation);
  reconcile($("messages"), messageItems(conversation));
  drawEnd(conversation);
  if (wasAtBottom) return toBottom();
  const now = anchor?.isConnected ? anchor : anchor && elementOf(anchor.dataset.seq);
  if (now) $("scroller").scrollTop += now.getBoundingClientRect().top - top;
}

function scrolled() {
  const conversation = s.openConversation();
  if (!shown || !conversation) return;
  shown.isAtBottom = below() < NEAR && s.isAtEnd(shown);
  drawEnd(conversation);
  if ($("scroller").scrollTop < EDGE && s.firstOf(shown) > 1) extend(true);
  else if (below() < EDGE && !s.isAtEnd(shown)) extend(false);
  markRead();
}

async function extend(isOlder) {
  if (isExtending) return;
  isExtending = true;
  const room = shown;
  const hasMore = await s.extend(room, isOlder).catch(() => false); // more scrolling tries again
  isExtending = false;
  if (!hasMore || room !== state.room || room !== shown) return;
  draw(s.openConversation());
  scrolled();
}

async function goToEnd() {
  if (!s.isAtEnd(state.room)) await s.open(state.room.id, s.openConversation().last_seq);
  drawConversation();
  toBottom();
  scrolled();
}

function drawHead(conversation) {
  const { conversation_id: id } = conversation;
  const { title, isOnline, picture } = looksOf(conversation);
  const about = aboutPeople(conversation);
  const build = () =>
    h("div", { class: "head" },
      h("a", { class: "icon back", href: "#/", "aria-label": "Back to all conversations" }, icon("back")),
      picture(),
      h("div", { class: "names" }, h("h2", { tabindex: "-1" }, bdi(title)), h("p", {}, about)),
      iconButton("people", "People and settings", () => withDialogs((dialogs) => dialogs.manageConversation(id))));
  reconcile($("head"), [{ key: id, from: [title, about, isOnline], build }]);
}

function aboutPeople(conversation) {
  const { other, isOnline } = looksOf(conversation);
  if (isOnline) return "Online";
  if (other) return other.last_seen_at ? `Last seen ${shortly(other.last_seen_at)}` : "Offline";
  const count = conversation.participant_count;
  const online = othersOf(conversation).filter((person) => person.is_online).length;
  return (count === 1 ? "Only you" : `${count} people`) + (online ? `, ${online} online` : "");
}

/** Who is typing, and the button that leads to what is new. */
function drawEnd(conversation) {
  const names = [...(state.typing.get(conversation.conversation_id)?.keys() ?? [])].map((id) => nameOf(state.people.get(id)));
  const one = names.length === 1 && `${names[0]} is typing…`;
  $("typing").textContent = one || (names.length ? "Several people are typing…" : "");
  const unread = unreadOf(conversation);
  $("jump").hidden = shown.isAtBottom;
  $("jump").lastElementChild.textContent = unread ? `${unread} new` : "";
  $("jump").setAttribute("aria-label", `Go to the newest messages${unread ? `, ${unread} new` : ""}`);
}

/** Tell the server how far I have read: to the end, if that is what I am looking at. */
function markRead() {
  const conversation = s.openConversation();
  const isLooking = shown?.isAtBottom && !document.hidden && document.hasFocus();
  if (!conversation || !isLooking || unreadOf(conversation) < 1) return;
  const { message_id } = shown.messages.at(-1);
  if (marked === message_id) return;
  marked = message_id;
  call("POST", `messages/${message_id}/mark_as_read/`).catch(() => (marked = ""));
}

// --- Its messages ------------------------------------------------------------------------

const TOGETHER = 5 * 60_000; // messages of one person so close in time are one group

function messageItems(conversation) {
  const { messages, newAfter } = shown;
  const receipted = s.myLast(shown);
  const items = s.firstOf(shown) === 1 ? [line("beginning", "This is the beginning of the conversation.")] : [];
  messages.forEach((message, index) => {
    const before = messages[index - 1];
    const day = dayOf(message.sent_at);
    const isNewDay = !before || dayOf(before.sent_at) !== day;
    const isNew = newAfter !== null && message.seq === newAfter + 1;
    if (isNewDay) items.push(line("day", day, message));
    if (isNew) items.push(line("divider", "New messages", message));
    const isGrouped = !isNewDay && !isNew && before.sender.user_id === message.sender.user_id &&
      new Date(message.sent_at) - new Date(before.sent_at) < TOGETHER;
    const receipt = message === receipted ? receiptOf(conversation, message.seq) : "";
    const mayDelete = !message.deleted_at && (isMe(message.sender.user_id) || isMe(conversation.owner));
    items.push(messageItem(message, { isGrouped, receipt, mayDelete, isStop: index === messages.length - 1 }));
  });
  return s.isAtEnd(shown) ? [...items, ...s.waitingIn(conversation).map(waitingItem)] : items;
}

function line(kind, text, message) {
  const build = () => h("li", { class: kind }, h("span", {}, text));
  return { key: `${kind} ${message?.message_id}`, from: [text], build };
}

function receiptOf(conversation, seq) {
  const readers = othersOf(conversation).filter(({ user_id }) => conversation.read.get(user_id) >= seq);
  if (!readers.length) return "Sent";
  if (conversation.participant_count === 2) return "Read";
  if (readers.length === conversation.participant_count - 1) return "Read by everybody";
  return `Read by ${readers.length > 3 ? `${readers.length} people` : readers.map(shortNameOf).join(", ")}`;
}

/** What was said. By whom is told always, but shown only where it is not plain to see. */
function bubble(name, isNameShown, body, ...meta) {
  return h("div", { class: "bubble" },
    h("p", { class: isNameShown ? "who" : "who unseen" }, name),
    h("p", { class: "body", dir: "auto" }, body),
    h("p", { class: "meta" }, meta));
}

function messageItem(message, { isGrouped, receipt, mayDelete, isStop }) {
  const { message_id, client_id, seq, sender, deleted_at, edited_at, sent_at, message_body } = message;
  const isMine = isMe(sender.user_id);
  const name = nameOf(sender);
  const kind = `message${isMine ? " mine" : ""}${isGrouped ? " grouped" : ""}${deleted_at ? " deleted" : ""}`;
  const build = () =>
    h("li", { class: kind, tabindex: isStop ? 0 : "-1", "data-seq": seq },
      !isMine && avatar(sender.user_id, name),
      bubble(isMine ? "You" : bdi(name), !isMine && !isGrouped, deleted_at ? "Message deleted" : linked(message_body),
        edited_at && !deleted_at && "edited ", timeTag(sent_at, clock(sent_at))),
      h("div", { class: "actions" },
        isMine && !deleted_at && iconButton("pen", "Edit message", () => edit(message)),
        mayDelete && iconButton("bin", "Delete message", () => remove(message_id))),
      receipt && h("p", { class: "receipt" }, receipt));
  return { key: isMine && client_id ? client_id : message_id, from: [message, isGrouped, receipt, mayDelete, isStop], build };
}

function waitingItem(item) {
  const { client_id, body, status, reason, written_at } = item;
  const hasFailed = status === "failed";
  const note = hasFailed ? `Not sent: ${reason}` : state.isLive ? "Sending…" : "Waiting for a connection…";
  const build = () =>
    h("li", { class: hasFailed ? "message mine failed" : "message mine waiting" },
      bubble("You", false, linked(body), timeTag(written_at, clock(written_at))),
      h("p", { class: "receipt" }, note,
        hasFailed && textButton("link", "Retry", () => s.retry(item)),
        hasFailed && textButton("link", "Discard", () => s.discard(item))));
  return { key: client_id, from: [item, note], build };
}

const remove = (messageId) =>
  withDialogs(async ({ confirm }) => {
    if (await confirm("Delete this message for everybody?", "Delete")) await call("DELETE", `messages/${messageId}/`);
  });

// --- Where one writes ----------------------------------------------------------------------

const LONGEST = 10_000; // characters, as the server counts them
const TYPING_EVERY = 3_000;
const drafts = new Map(); // conversation_id -> text
let there = ""; // the conversation_id
let edited = null; // the message being edited
let told = 0; // when the others were last told that I type

$("composer").onsubmit = submit;
$("stop").onclick = () => edit(null);
$("text").oninput = typed;
$("text").onkeydown = pressed;

/** Take up what was being written in a conversation, or a message to word it anew. */
function takeUp(id, message = null) {
  there = id;
  edited = message;
  $("text").value = message?.message_body ?? drafts.get(id) ?? "";
  $("editing").hidden = !message;
  measure();
}

/** Edit a message; with null, none any more. */
function edit(message) {
  takeUp(there, message);
  $("text").focus();
}

/** Fit the field to its text; say when it is too long. */
function measure() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
  const rest = LONGEST - [...text.value].length;
  $("left").textContent = rest < 0 ? `${-rest} characters too many` : "";
  $("send").disabled = rest < 0 || !text.value.trim();
}

function typed() {
  measure();
  if (edited) return;
  drafts.set(there, $("text").value);
  if (!$("text").value || Date.now() - told < TYPING_EVERY) return;
  told = Date.now();
  call("POST", `conversations/${there}/typing/`).catch(() => {}); // not worth a word
}

function pressed(event) {
  // On a phone Enter makes a new line: there is a button to send.
  const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing && hasMouse();
  const mine = event.key === "ArrowUp" && !event.target.value && s.myLast(state.room);
  if (sends) $("composer").requestSubmit();
  else if (mine) edit(mine);
  else if (event.key === "Escape" && edited) edit(null);
  else return;
  event.preventDefault();
}

function submit(event) {
  event.preventDefault();
  if ($("send").disabled) return;
  const message_body = $("text").value;
  if (edited) {
    const save = () => call("PATCH", `messages/${edited.message_id}/`, { message_body });
    attempt(save).then((hasWorked) => hasWorked && edit(null));
    return;
  }
  drafts.delete(there);
  told = 0;
  takeUp(there);
  state.room.newAfter = null;
  s.send(there, message_body);
  attempt(goToEnd);
}
