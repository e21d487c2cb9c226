/** The list of conversations, the latest first, and the search in all of them. */
import { ago, attempt, avatar, bdi, h, icon, iconButton, reconcile, timeTag } from "./dom.js";
import { byActivity, isMe, loadMoreConversations, nameOf, othersOf, search, state, titleOf, unreadOf } from "./state.js";

const DELAY = 250; // milliseconds after the last key before it is searched
let input, list, note, more, found = null;

export function mount(root, { signOut }) {
  input = h("input", { type: "search", placeholder: "Search", "aria-label": "Search conversations and messages", oninput: searchSoon });
  list = h("ul", { class: "list", onkeydown: moveFocus });
  note = h("div", { class: "empty" });
  more = h("button", { type: "button", class: "link", onclick: () => attempt(loadMoreConversations) }, "Show more");
  const me = h("p", { class: "me" }, avatar(state.me.user_id, nameOf(state.me)), bdi(nameOf(state.me)),
    iconButton("out", "Sign out", () => attempt(signOut)));
  root.replaceChildren(
    h("header", {}, h("h1", {}, h("span", { class: "mark", "aria-hidden": "true" }), "Messages"),
      iconButton("plus", "New conversation", startOne)),
    h("div", { class: "search", role: "search" }, icon("search"), input),
    h("div", { class: "scroll", onscroll: loadAtEnd }, list, note, more),
    me,
  );
  addEventListener("keydown", (event) => {
    if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    input.focus();
  });
}

/** Go to the open conversation's entry, or to the first. */
export function focus() {
  (list.querySelector("[aria-current]") ?? list.querySelector("a"))?.focus();
}

export function render() {
  const items = found ? results(found) : byActivity().map(entry);
  reconcile(list, items);
  const first = list.querySelector("a[aria-current]") ?? list.querySelector("a");
  for (const link of list.querySelectorAll("a")) link.tabIndex = link === first ? 0 : -1;
  more.hidden = Boolean(found) || !state.nextConversations;
  const text = items.length ? "" : nothing();
  if (note.dataset.text === text) return;
  note.dataset.text = text;
  note.replaceChildren(...(text ? [h("p", {}, text), state.isLoaded && !found && h("button", { type: "button", class: "primary", onclick: startOne }, "Start a conversation")].filter(Boolean) : []));
}

function nothing() {
  if (found) return `Nothing found for “${found.text}”.`;
  return state.isLoaded ? "No conversations yet." : "Loading…";
}

// --- Entries -----------------------------------------------------------------------

function entry(conversation) {
  const { conversation_id: id, last_message: last } = conversation;
  const [unread, title, time] = [unreadOf(conversation), titleOf(conversation), ago(conversation.updated_at)];
  const others = othersOf(conversation);
  const isPair = conversation.participant_count === 2;
  const isOnline = isPair && others[0]?.is_online;
  const isCurrent = id === state.wanted;
  const isTyping = Boolean(state.typing.get(id)?.size);
  return {
    key: id,
    from: [unread, title, time, last, isOnline, isCurrent, isTyping],
    build: () =>
      h("li", {},
        h("a", { class: unread ? "entry unread" : "entry", href: `#/c/${id}`, "aria-current": isCurrent && "page" },
          avatar(isPair ? (others[0]?.user_id ?? id) : id, title, { isOnline, isGroup: !isPair }),
          h("span", { class: "title" }, bdi(title), isOnline && h("span", { class: "unseen" }, ", online")),
          timeTag(conversation.updated_at, time),
          isTyping ? h("span", { class: "preview typing" }, "typing…") : preview(last, isPair),
          unread > 0 && h("span", { class: "badge" }, unread > 99 ? "99+" : String(unread), h("span", { class: "unseen" }, " unread")))),
  };
}

function preview(message, isPair) {
  if (!message) return h("span", { class: "preview" }, "No messages yet");
  const who = isMe(message.sender.user_id) ? "You: " : isPair ? "" : [bdi(message.sender.first_name || message.sender.username), ": "];
  const body = message.deleted_at ? h("i", {}, "Message deleted") : bdi(message.message_body.slice(0, 200));
  return h("span", { class: "preview" }, who, body);
}

function results({ conversations, messages }) {
  const heading = (text) => ({ key: text, from: [], build: () => h("li", { class: "heading" }, h("h2", {}, text)) });
  const there = conversations.map((id) => state.conversations.get(id)).filter(Boolean).map(entry);
  return [
    ...(there.length ? [heading("Conversations"), ...there] : []),
    ...(messages.length ? [heading("Messages"), ...messages.map(hit)] : []),
  ];
}

function hit(message) {
  const sender = nameOf(message.sender);
  return {
    key: message.message_id,
    from: [message],
    build: () =>
      h("li", {},
        h("a", { class: "entry", href: `#/c/${message.conversation}/${message.seq}` },
          avatar(message.sender.user_id, sender), h("span", { class: "title" }, bdi(sender)),
          timeTag(message.sent_at, ago(message.sent_at)), h("span", { class: "preview" }, bdi(message.message_body.slice(0, 200))))),
  };
}

// --- Acting ------------------------------------------------------------------------

let searching;
function searchSoon() {
  clearTimeout(searching);
  searching = setTimeout(() => attempt(searchNow), input.value.trim() ? DELAY : 0);
}

async function searchNow() {
  const text = input.value.trim();
  const answer = text && { text, ...(await search(text)) };
  if (text !== input.value.trim()) return; // something else is searched by now
  found = answer || null;
  render();
}

function loadAtEnd({ target }) {
  if (!more.hidden && target.scrollHeight - target.scrollTop - target.clientHeight < 300) attempt(loadMoreConversations);
}

function moveFocus(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const links = [...list.querySelectorAll("a")];
  links[links.indexOf(document.activeElement) + step]?.focus();
  event.preventDefault();
}

async function startOne() {
  (await import("./dialogs.js")).startConversation();
}
