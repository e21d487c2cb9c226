/** What is seen: elements, whose text is always text; the list of conversations; the open one. */
import { call, changed, pause } from "./api.js";
import * as s from "./state.js";
import { countOf, isMe, nameOf, othersOf, partnerOf, shortNameOf, state, titleOf, unreadOf } from "./state.js";

export const $ = (id) => document.getElementById(id);

// --- Elements --------------------------------------------------------------------

/** Let parts of an element, by their selectors, have a text or properties, or do something; what is so already is left alone. */
export function set(element, parts) {
  for (const [selector, value] of Object.entries(parts)) {
    const part = selector === ":scope" ? element : element.querySelector(selector);
    if (typeof value === "function") value(part);
    const properties = typeof value === "string" ? { textContent: value } : value;
    for (const [name, wanted] of Object.entries(properties)) if (part[name] !== wanted) part[name] = wanted;
  }
}

/** What `show` takes: an element made by a template, with parts as `set` takes them. */
export const item = (key, template, parts) => ({ key, template, parts });

/**
 * Let `parent` have one child for each of `items`. The element of a key is made once and
 * then only changed; so focus, selection and what a screen reader is at stay, too.
 */
export function show(parent, items) {
  const focused = document.activeElement;
  const keys = new Set(items.map(({ key }) => key));
  for (const element of [...parent.children]) if (!keys.has(element.dataset.key)) element.remove();
  const elements = new Map([...parent.children].map((element) => [element.dataset.key, element]));
  items.forEach(({ key, template, parts }, index) => {
    const element = elements.get(key) ?? $(template).content.firstElementChild.cloneNode(true);
    element.dataset.key = key;
    set(element, parts);
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  if (focused !== document.activeElement) focused.focus({ preventScroll: true }); // it was moved
}

/** What a disc with initials has: the colour is always the same for the same id. */
export function avatar(id, name, kind = "") {
  const initials = [...name.matchAll(/([\p{L}\p{N}])\S*/gu)].map(([, letter]) => letter).slice(0, 2).join("");
  const tint = Number.parseInt(id.slice(-1), 16) % 8;
  return { className: `avatar tint-${tint} ${kind}`, textContent: initials.toUpperCase() };
}
export const avatarOf = (person) => avatar(person.user_id, nameOf(person), person.is_online ? "online" : "");

// What an address may not have: blanks; quotation marks and others of the sentence around it, typographic and
// full-width ones, too; marks that turn the direction, which could show another address. Brackets it has in pairs.
const PART = String.raw`[^\s()[\]{}<>"'\x60‘-‟‹›«»…—、。〈-】〔-〟！（），．：；？［］｛｝｟-､\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]`;
const PARTS = String.raw`(?:${PART}|\(${PART}*\)|\[${PART}*\]|\{${PART}*\})+(?<![.,;:!?])`;
const E_MAIL = String.raw`(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[a-z]{2,63}(?![\w-])`;
const LINK = new RegExp(String.raw`(${E_MAIL}|https?:\/\/${PARTS}|(?<!\w)www\.(?=\w)${PARTS})`, "i");

/** Let an element have a text, with links where that has addresses of the web or of e-mail, and no other. */
function write(element, text) {
  if (element.textContent === text) return;
  element.replaceChildren(...text.split(LINK).map((part, index) => (index % 2 ? linkTo(part) : part)));
}

function linkTo(text) {
  const isOfWeb = /^(https?:\/\/|www\.(?!.*@))/i.test(text);
  const href = !isOfWeb ? `mailto:${text}` : text.replace(/^www/i, "https://$&");
  if (!URL.canParse(href)) return text;
  const link = document.createElement("a");
  return Object.assign(link, { href, target: isOfWeb ? "_blank" : "", rel: "noopener noreferrer nofollow", textContent: text });
}

const formatter = (options) => {
  const format = new Intl.DateTimeFormat(undefined, options);
  return (time) => format.format(new Date(time));
};
const clock = formatter({ timeStyle: "short" });
const dayAndMonth = formatter({ day: "numeric", month: "short" });
const dayOf = formatter({ dateStyle: "full" });
const exactly = formatter({ dateStyle: "full", timeStyle: "medium" });
const isSameDay = (time, other) => new Date(time).toDateString() === new Date(other).toDateString();
const shortly = (time) => (isSameDay(time, Date.now()) ? clock(time) : dayAndMonth(time));
/** A time, short to the eye, exact when pointed at. */
const timed = (time, text) => ({ dateTime: time, title: exactly(time), textContent: text });

/** Show a message, which the style sheet lets go; in the dialog on top, outside of which nothing is seen or heard. */
export function toast(text) {
  const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  top.append($("toast"));
  $("toast").textContent = text;
}

/** Do it; when it fails, say why and go on. True if it worked. */
export const attempt = (action) => action().then(() => true, ({ message }) => toast(message));
/** The error with which something ends, or null. */
export const errorOf = (doing) => doing.then(() => null, (error) => error);

/**
 * Let a field search as one types: `find(text, isWanted)`, then `draw` what was found, if
 * that is wanted yet: the same text is in the field, and it was not given another search.
 */
export function onSearch(field, find, draw) {
  const search = () =>
    attempt(async () => {
      const text = field.value;
      const isWanted = () => field.oninput === search && text === field.value;
      if (text) await pause(250); // until one stops typing
      if (!isWanted()) return;
      const found = await find(text.trim(), isWanted);
      if (isWanted()) draw(found);
    });
  field.oninput = search;
}

/** Ask; with a yes, do it. */
export function ask(question, verb, action) {
  const dialog = $("question");
  set(dialog, { h2: question, ".danger": verb });
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "yes" && attempt(action);
  dialog.showModal();
}

/**
 * Let a form do `action(fields, isOpen)`, once at a time. What the server refuses is said
 * in the form, with the field's label; the field is marked, and one is led to it. A form
 * of a dialog is given its action at each opening: what was begun in an earlier one, or in
 * a dialog closed meanwhile, leaves the form alone.
 */
export function onSubmit(form, action) {
  form.ariaBusy = null;
  showErrors(form, {});
  form.onsubmit = async function submit(event) {
    event.preventDefault();
    if (form.ariaBusy) return;
    form.ariaBusy = "true";
    const isOpen = () => form.onsubmit === submit && form.checkVisibility();
    const fields = Object.fromEntries(new FormData(form, event.submitter));
    const error = await errorOf(action(fields, isOpen));
    if (form.onsubmit === submit) form.ariaBusy = null;
    if (!isOpen()) return error && toast(error.message);
    showErrors(form, error ?? {});
    if (error) form.querySelector("[aria-invalid=true], [type=password]")?.focus();
  };
}

function showErrors(form, { fields = {}, message = "" }) {
  for (const input of form.querySelectorAll("input")) input.ariaInvalid = String(input.name in fields);
  const labelOf = (field) => form.elements[field]?.labels?.[0]?.textContent.trim() ?? field.replaceAll("_", " ");
  const lines = Object.entries(fields).map(([field, texts]) => `${labelOf(field)}: ${texts.join(" ")}`);
  form.querySelector(".error").textContent = lines.join("\n") || message;
}

// --- The list of conversations ------------------------------------------------------

let found = null; // by the search: {text, ids, messages}

$("more").onclick = () => attempt(() => s.loadConversations(state.nextConversations));
onSearch($("search"), (text, isWanted) => (text ? s.searchAll(text, isWanted) : null), (answer) => {
  found = answer;
  changed();
});

export function drawList() {
  const conversations = s.byActivity().filter(({ conversation_id: id }) => !found || found.ids.includes(id));
  const hits = found?.messages ?? [];
  show($("list"), conversations.map(entry));
  show($("hits"), hits.map(hit));
  $("more").hidden = Boolean(found) || !state.nextConversations;
  let nothing = state.isLoaded ? "No conversations yet." : "Loading…";
  if (found) nothing = `Nothing found for “${found.text}”${found.isAll ? "." : " yet: there is too much to search."}`;
  set($("conversations"), { "#nothing": conversations.length || hits.length ? "" : nothing });
}

function entry(conversation) {
  const { conversation_id: id, updated_at: time, typing } = conversation;
  const unread = unreadOf(conversation);
  return item(id, "entry", {
    a: { href: `#/c/${id}`, ariaCurrent: id === state.wanted ? "page" : null },
    ".avatar": pictureOf(conversation),
    ".title bdi": titleOf(conversation),
    ".status": partnerOf(conversation)?.is_online ? ", online" : "",
    time: timed(time, shortly(time)),
    ".preview": { className: typing.size ? "preview typing" : "preview" },
    ...previewOf(conversation),
    ".badge": { hidden: unread < 1 }, // what is read may be told before it is known
    ".badge b": String(unread),
  });
}

function previewOf({ last_message: last, participant_count, typing }) {
  if (typing.size || !last) return { ".author": "", ".excerpt": typing.size ? "typing…" : "No messages yet" };
  const author = isMe(last.sender.user_id) ? "You" : participant_count === 2 ? "" : shortNameOf(last.sender);
  return { ".author": author, ".excerpt": textOf(last).slice(0, 200) };
}

function hit(message) {
  const { message_id, conversation, seq, sender, sent_at: time } = message;
  return item(message_id, "entry", {
    a: { href: `#/c/${conversation}/${seq}` },
    ".avatar": avatarOf(sender),
    ".title bdi": nameOf(sender),
    time: timed(time, shortly(time)),
    ".excerpt": textOf(message).slice(0, 200),
  });
}

/** A conversation looks like the other one of two, or like a group. */
function pictureOf(conversation) {
  const other = partnerOf(conversation);
  return other ? avatarOf(other) : avatar(conversation.conversation_id, titleOf(conversation), "group");
}

const textOf = ({ deleted_at, message_body }) => (deleted_at ? "Message deleted" : message_body);

// --- The open conversation ------------------------------------------------------------

const EDGE = 800; // pixels from an end of the messages at which more are loaded
const NEAR = 40; // pixels from the bottom that count as the bottom
let shown = null; // the room
let isMarking = false; // the server is being told what is read, or was a moment ago

const above = () => $("scroller").scrollTop;
const below = () => $("scroller").scrollHeight - $("scroller").scrollTop - $("scroller").clientHeight;
const toBottom = () => ($("scroller").scrollTop = $("scroller").scrollHeight);
const rectOf = (element) => element.getBoundingClientRect();
const elementOf = (seq) => $("messages").querySelector(`[data-key="${seq}"]`);
const hasMouse = () => matchMedia("(pointer: fine)").matches; // else a keyboard would cover half of the page

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

export function drawConversation() {
  const conversation = s.openConversation();
  $("app").classList.toggle("open", Boolean(state.wanted)); // on a phone: instead of the list
  $("conversation").classList.toggle("none", !state.room);
  if (conversation) {
    if (shown === state.room) draw(conversation);
    else enter(conversation);
    scrolled();
  } else if (!state.room) {
    if (shown && !state.wanted) $("list").querySelector(`[href="#/c/${shown.id}"]`)?.focus(); // where one comes back from
    shown = null;
    menu.hidePopover();
    $("messages").replaceChildren(); // one may not see them any more
    $("hint").textContent = state.wanted ? "Loading…" : "Choose a conversation, or start a new one.";
  }
}

function enter(conversation) {
  const before = shown;
  shown = state.room;
  draw(conversation);
  const isAnother = before?.id !== shown.id;
  const isElsewhere = isAnother || shown.isLed;
  if (isAnother) {
    menu.hidePopover();
    takeUp();
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
  show($("messages"), messageItems(conversation));
  const typing = [...conversation.typing.keys()].map((id) => `${nameOf(state.people.get(id))} is typing…`);
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
  $("jump").lastElementChild.textContent = unread > 0 ? `${unread} new` : "";
  // Unless one has scrolled away until they are there: perhaps to what would be let go.
  if (above() < EDGE && s.firstOf(shown) > 1) s.extend(true, () => above() < EDGE);
  else if (below() < EDGE && !s.isAtEnd(shown)) s.extend(false, () => below() < EDGE);
  markRead();
}

async function goToEnd() {
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
  if (other.is_online) return "Online";
  return other.last_seen_at ? `Last seen ${shortly(other.last_seen_at)}` : "Offline";
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

// --- Its messages ------------------------------------------------------------------------

const TOGETHER = 5 * 60_000; // messages of one person so close in time are one group

function messageItems(conversation) {
  const { messages, firstNew } = shown;
  const receipted = messages.findLast(({ sender, deleted_at }) => isMe(sender.user_id) && !deleted_at);
  const items = s.firstOf(shown) === 1 ? [line("beginning", "This is the beginning of the conversation.")] : [];
  messages.forEach((message, index) => {
    const before = messages[index - 1];
    const isNewDay = !before || !isSameDay(before.sent_at, message.sent_at);
    const isNew = message.seq === firstNew;
    if (isNewDay) items.push(line("day", dayOf(message.sent_at), message.seq));
    if (isNew) items.push(line("divider", "New messages", message.seq));
    const isGrouped = !isNewDay && !isNew && before.sender.user_id === message.sender.user_id &&
      new Date(message.sent_at) - new Date(before.sent_at) < TOGETHER;
    const note = message === receipted ? receiptOf(conversation, message.seq) : "";
    items.push(messageItem(conversation, message, note, isGrouped));
  });
  const waiting = s.isAtEnd(shown) ? s.waitingIn(conversation) : [];
  return [...items, ...waiting.map((message) => messageItem(conversation, message, noteOf(message)))];
}

const line = (className, text, seq) => item(`${className} ${seq}`, "line", { ":scope": { className }, span: text });

function receiptOf(conversation, seq) {
  const readers = s.readersOf(conversation, seq);
  if (!readers.length) return "Sent";
  if (conversation.participant_count === 2) return "Read";
  return `Read by ${readers.length > 3 ? `${readers.length} people` : readers.map(shortNameOf).join(", ")}`;
}

const sending = () => (state.isLive ? "Sending…" : "Waiting for a connection…");
const noteOf = ({ reason }) => (reason ? `Not sent: ${reason}` : sending());

/** A message, or one on its way, which has no `seq` yet. */
function messageItem({ owner }, message, note, isGrouped = false) {
  const { client_id, seq, sender, deleted_at, edited_at, sent_at, reason } = message;
  const isMine = isMe(sender.user_id);
  const condition = seq ? seq === shown.target && "found" : reason ? "failed" : "waiting";
  const kinds = ["message", isMine && "mine", isGrouped && "grouped", deleted_at && "deleted", condition];
  const tabIndex = message === shown.messages.at(-1) ? 0 : -1;
  return item(String(seq ?? client_id), "message", {
    ":scope": { className: kinds.filter(Boolean).join(" "), tabIndex },
    ".avatar": avatar(sender.user_id, nameOf(sender)),
    ".who bdi": isMine ? "You" : nameOf(sender),
    ".body": (body) => write(body, textOf(message)),
    ".edited": { hidden: !edited_at },
    // To format a time takes long.
    time: (time) => time.dateTime === sent_at || set(time, { ":scope": timed(sent_at, clock(sent_at)) }),
    ".more": { hidden: !isMine && !isMe(owner), onclick: ({ currentTarget }) => aimMenu(currentTarget, message) },
    ".note": note,
    ".retry": { onclick: () => s.retry(message) },
    ".discard": { onclick: () => s.discard(message) },
  });
}

// One menu is there for all messages: the button that the browser opens it by aims it first.
const menu = $("menu");
const menuItems = () => [...menu.querySelectorAll("button:not([hidden])")];

function aimMenu(button, message) {
  set(menu, {
    ".edit": { hidden: !isMe(message.sender.user_id), onclick: () => edit(message) },
    ".delete": { onclick: () => remove(message) },
  });
  menu.ontoggle = ({ newState }) => {
    const isOpen = newState === "open";
    button.ariaExpanded = String(isOpen);
    if (!isOpen) return;
    putBeside(button);
    menuItems()[0].focus();
  };
}

/** Put the menu below the button, or above it where there is no space. */
function putBeside(button) {
  const { left, top, bottom } = rectOf(button);
  const { width, height } = rectOf(menu);
  menu.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  menu.style.top = `${bottom + height + 8 < innerHeight ? bottom : Math.max(8, top - height)}px`;
}

// Closed first, it gives the focus back to the button; then the item does its own.
menu.addEventListener("click", () => menu.hidePopover(), { capture: true });
menu.onkeydown = (event) => {
  const items = menuItems();
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Tab") menu.hidePopover();
  if (next === undefined) return;
  items.at(next % items.length).focus();
  event.preventDefault();
};

function remove({ message_id, seq }) {
  ask("Delete this message for everyone?", "Delete", () => {
    elementOf(seq)?.focus({ preventScroll: true }); // the button, where one is, will go
    return call("DELETE", `messages/${message_id}/`);
  });
}

// --- Where one writes ----------------------------------------------------------------------

const LONGEST = 10_000; // characters, as the server counts them
const TYPING_EVERY = 3_000;
let told = 0; // when the others were last told that I type

/** Take up what was being written in the conversation: a message, or the new words of another. */
function takeUp() {
  const { text, edit } = s.draftOf(shown.id);
  $("text").value = edit?.text ?? text;
  $("editing").hidden = !edit;
  measure();
}

/** Edit a message; with null, none any more: what was being written before is there again. */
function edit(message) {
  const { text } = s.draftOf(shown.id);
  s.keepDraft(shown.id, { text, edit: message && { message_id: message.message_id, text: message.message_body } });
  takeUp();
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

$("stop").onclick = () => edit(null);

$("text").oninput = () => {
  measure();
  const { text, edit } = s.draftOf(shown.id);
  if (edit) edit.text = $("text").value;
  s.keepDraft(shown.id, { text: edit ? text : $("text").value, edit });
  if (edit) return;
  if (Date.now() - told < TYPING_EVERY) return;
  told = Date.now();
  call("POST", `conversations/${shown.id}/typing/`).catch(() => {}); // not worth a word
};

$("text").onkeydown = (event) => {
  if (event.key === "Escape" && !$("editing").hidden) edit(null);
  // On a phone Enter makes a new line: there is a button to send.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !hasMouse()) return;
  event.preventDefault();
  $("send").click();
};

$("composer").onsubmit = async (event) => {
  event.preventDefault();
  const message_body = $("text").value;
  const { edit } = s.draftOf(shown.id);
  if (edit) return save(shown.id, edit, message_body);
  s.keepDraft(shown.id, {});
  told = 0;
  takeUp();
  shown.firstNew = undefined;
  s.send(shown.id, message_body);
  attempt(goToEnd);
};

/** Save an edit; then it is over, unless one has written on or edits something else. */
async function save(id, edit, message_body) {
  if (!(await attempt(() => call("PATCH", `messages/${edit.message_id}/`, { message_body })))) return;
  const draft = s.draftOf(id);
  if (draft.edit !== edit || edit.text !== message_body) return;
  s.keepDraft(id, { text: draft.text });
  if (shown?.id !== id) return;
  takeUp();
  if ($("composer").matches(":focus-within")) $("text").focus();
}
