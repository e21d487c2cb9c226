/**
 * What the page shows, made of what was loaded and of the events since.
 *
 * Every handler may run twice on the same event, and on state that already has it:
 * an event carries its object as it is now, so it is put in place of the older one,
 * and numbers only rise.
 */
import { call, get, inOrder } from "./api.js";

const PAGE = 60; // messages loaded at once
const MOST = 200; // messages of the open conversation that are kept, and in the page
const TYPING_FOR = 5_000;

export const state = {
  me: null,
  people: new Map(), // user_id -> the public person
  conversations: new Map(), // conversation_id -> conversation; `read` maps user_id -> last_read_seq
  nextConversations: null, // the address of their next page
  isLoaded: false,
  isLive: true,
  wanted: null, // the conversation_id in the address
  target: null, // the message's seq in the address
  room: null, // the open conversation: {id, messages, newAfter, target, isAtBottom}; no gap in `messages`
  outbox: [], // own messages that the server has not, or not yet said that it has
  typing: new Map(), // conversation_id -> Map of user_id -> timer
};

/** Tells `change`, once for many, and what is told once: `lost`, `absent`, `message`. */
export const notices = new EventTarget();
const notify = (type, detail) => notices.dispatchEvent(new CustomEvent(type, { detail }));
let due = null;
export function changed() {
  due ??= setTimeout(() => {
    due = null;
    notify("change");
  });
}

// --- Reading it ------------------------------------------------------------------

export const isMe = (userId) => userId === state.me.user_id;
export const unreadOf = ({ last_seq, read }) => last_seq - (read.get(state.me.user_id) ?? 0);
export const othersOf = ({ read }) => [...read.keys()].filter((id) => !isMe(id)).map((id) => state.people.get(id));
export const nameOf = (person) =>
  person ? `${person.first_name} ${person.last_name}`.trim() || person.username : "Somebody";
export const shortNameOf = ({ first_name, username }) => first_name || username;

export function titleOf(conversation) {
  if (conversation.title) return conversation.title;
  const others = othersOf(conversation);
  const more = conversation.participant_count - 1 - others.length;
  return others.map(nameOf).join(", ") + (more > 0 ? ` and ${more} more` : "") || "Only you";
}
export const byActivity = () =>
  [...state.conversations.values()].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
export const openConversation = () => state.room && state.conversations.get(state.room.id);
export const firstOf = ({ messages }) => messages[0]?.seq ?? 1;
export const lastOf = ({ messages }) => messages.at(-1)?.seq ?? 0;
/** Whether the room's last message is the conversation's: new ones can be appended. */
export const isAtEnd = (room) => lastOf(room) === state.conversations.get(room.id)?.last_seq;
export const myLast = ({ messages }) => messages.findLast(({ sender, deleted_at }) => isMe(sender.user_id) && !deleted_at);

// --- Putting things in place -----------------------------------------------------

function know(person) {
  const { user_id, username, first_name, last_name, is_online, last_seen_at } = person;
  state.people.set(user_id, { user_id, username, first_name, last_name, is_online, last_seen_at });
}

function raise({ read }, userId, seq) {
  if (isMe(userId) || read.has(userId)) read.set(userId, Math.max(seq, read.get(userId) ?? 0));
}

function put(data) {
  const { conversation_id, title, owner, participants, participant_count, last_message } = data;
  const known = state.conversations.get(conversation_id) ?? { read: new Map(), last_seq: 0, updated_at: "" };
  const isWhole = participants.length === participant_count; // else a preview
  const read = new Map(isWhole ? [] : known.read);
  for (const { user_id, last_read_seq } of participants) {
    read.set(user_id, Math.max(last_read_seq, known.read.get(user_id) ?? 0));
  }
  participants.forEach(know);
  const conversation = {
    conversation_id, title, owner, participant_count, read,
    last_message: data.last_seq >= known.last_seq ? last_message : known.last_message,
    last_seq: Math.max(data.last_seq, known.last_seq),
    updated_at: data.updated_at > known.updated_at ? data.updated_at : known.updated_at,
  };
  // Events do not say how far the one has read who gets them.
  raise(conversation, state.me.user_id, data.last_read_seq ?? known.read.get(state.me.user_id) ?? 0);
  state.conversations.set(conversation_id, conversation);
  return conversation;
}

function drop(id) {
  const conversation = state.conversations.get(id);
  state.conversations.delete(id);
  keep(state.outbox.filter((item) => item.conversation !== id));
  if (state.room?.id === id) state.room = null;
  if (conversation && state.wanted === id) notify("lost", conversation);
}

// --- Loading ---------------------------------------------------------------------

async function fetchConversations(path) {
  const { results, next } = await call("GET", path);
  results.forEach(put);
  state.nextConversations = next && next.slice(next.indexOf("conversations/"));
}

/** Load one; null if it is none of mine. */
async function fetchConversation(id) {
  try {
    const { messages, ...conversation } = await call("GET", `conversations/${id}/`);
    return { conversation: put(conversation), messages: messages.reverse() };
  } catch (error) {
    if (error.status !== 404) throw error;
    return null;
  }
}
const known = async (id) => state.conversations.get(id) ?? (await fetchConversation(id))?.conversation;

async function fetchMessages(id, parameters) {
  const { results } = await get("messages/", { conversation_id: id, page_size: PAGE, ...parameters });
  results.forEach(({ sender }) => know(sender));
  return results;
}

/** Load what is shown, in place of what was; part of `inOrder`. */
export async function load() {
  state.conversations.clear();
  await fetchConversations("conversations/");
  state.isLoaded = true;
  changed();
  if (state.wanted) await fillRoom();
}

export const loadMoreConversations = () =>
  inOrder(async () => {
    if (state.nextConversations) await fetchConversations(state.nextConversations);
    changed();
  });

/** Look again who is online: that is told live only, and missed while away. */
export const refreshPeople = () =>
  inOrder(async () => {
    const { results } = await call("GET", "conversations/");
    results.flatMap(({ participants }) => participants).forEach(know);
    changed();
  });

/** Search everything: the ids of conversations, and messages. */
export const search = (text) =>
  inOrder(async () => {
    const lists = ["conversations/", "messages/"].map((path) => get(path, { search: text }));
    const [conversations, messages] = (await Promise.all(lists)).map(({ results }) => results);
    return { text, conversations: conversations.map((item) => put(item).conversation_id), messages };
  });

/** Open a conversation, or none: where reading stopped, or around the message `seq`. */
export function open(id, seq) {
  Object.assign(state, { wanted: id, target: seq, room: null });
  changed();
  return inOrder(() => state.isLoaded && state.wanted && fillRoom());
}

async function fillRoom() {
  const { wanted: id, target } = state;
  const found = await fetchConversation(id);
  if (state.wanted !== id) return; // another was opened meanwhile
  state.room = null;
  if (!found) return notify("absent");
  const { conversation } = found;
  const newAfter = unreadOf(conversation) > 0 ? conversation.read.get(state.me.user_id) : null;
  const seq = target ?? newAfter ?? conversation.last_seq;
  let { messages } = found;
  if (messages[0]?.seq > 1 && seq < messages[0].seq + 10) {
    messages = await fetchMessages(id, { after_seq: Math.max(0, seq - PAGE / 2), ordering: "seq" });
  }
  messages.forEach(({ sender }) => know(sender));
  if (state.wanted === id) state.room = { id, messages, newAfter, target, isAtBottom: false };
  changed();
}

/** Move the room on to older or newer messages; at its other end as many are let go. Whether there were any. */
export const extend = (room, isOlder) =>
  inOrder(async () => {
    const from = isOlder ? { before_seq: firstOf(room), ordering: "-seq" } : { after_seq: lastOf(room), ordering: "seq" };
    const found = await fetchMessages(room.id, from);
    if (isOlder) room.messages = [...found.reverse(), ...room.messages].slice(0, MOST);
    else room.messages = [...room.messages, ...found].slice(-MOST);
    return found.length > 0;
  });

// --- Events ----------------------------------------------------------------------

async function replaceMessage({ conversation_id: id, message }) {
  const conversation = await known(id);
  if (conversation?.last_message?.message_id === message.message_id) conversation.last_message = message;
  const at = state.room?.id === id ? message.seq - firstOf(state.room) : -1;
  if (state.room?.messages[at]) state.room.messages[at] = message;
}

/** Add a message that follows the room's last, if it is looked at or there is space. */
function append(room, message) {
  if (message.seq !== lastOf(room) + 1) return;
  if (room.isAtBottom || room.messages.length < MOST) room.messages = [...room.messages, message].slice(-MOST);
}

const handlers = {
  async "message.created"(event) {
    const { message, conversation_id: id } = event;
    const { sender, seq } = message;
    const conversation = await known(id);
    if (!conversation) return;
    const isNew = seq > conversation.last_seq;
    await replaceMessage(event);
    if (state.room?.id === id) append(state.room, message);
    if (isNew) Object.assign(conversation, { last_message: message, last_seq: seq, updated_at: message.sent_at });
    raise(conversation, sender.user_id, seq);
    know(sender);
    stopTyping(id, sender.user_id);
    if (isMe(sender.user_id)) keep(state.outbox.filter((item) => item.client_id !== message.client_id));
    else if (isNew) notify("message", { conversation, message });
  },
  "message.updated": replaceMessage,
  "message.deleted": replaceMessage,
  async "conversation.created"({ conversation_id: id }) {
    await known(id);
  },
  async "conversation.updated"({ conversation_id: id, conversation }) {
    if (await known(id)) put(conversation);
  },
  async "conversation.deleted"({ conversation_id: id }) {
    drop(id);
  },
  async "participant.added"({ conversation_id: id, conversation, participant }) {
    if (!(await known(id))) return;
    put(conversation).read.set(participant.user_id, participant.last_read_seq);
    know(participant);
  },
  async "participant.removed"({ conversation_id: id, participant }) {
    if (isMe(participant.user_id)) return drop(id);
    if (!state.conversations.has(id)) return;
    state.conversations.get(id).read.delete(participant.user_id);
    await fetchConversation(id); // how many there are now is not in the event
  },
  async "read.updated"({ conversation_id: id, user_id, last_read_seq }) {
    if (state.conversations.has(id)) raise(state.conversations.get(id), user_id, last_read_seq);
  },
  async typing({ conversation_id: id, user_id }) {
    if (!state.typing.has(id)) state.typing.set(id, new Map());
    stopTyping(id, user_id);
    state.typing.get(id).set(user_id, setTimeout(() => stopTyping(id, user_id), TYPING_FOR));
  },
  async presence({ user_id, is_online, last_seen_at }) {
    const person = state.people.get(user_id);
    if (person) state.people.set(user_id, { ...person, is_online, last_seen_at });
  },
};

export const types = Object.keys(handlers);
/** Change the state by one event; part of `inOrder`. */
export async function handle(type, data) {
  await handlers[type](data);
  changed();
}

function stopTyping(id, userId) {
  clearTimeout(state.typing.get(id)?.get(userId));
  if (state.typing.get(id)?.delete(userId)) changed();
}

// --- Own messages on their way -----------------------------------------------------
// Each has a client_id, so it can be sent again as often as it takes and is stored
// once. They outlive a reload of the tab.

export const waitingIn = ({ conversation_id, last_seq }) =>
  state.outbox.filter((item) => item.conversation === conversation_id && !(item.seq <= last_seq));

function keep(outbox) {
  state.outbox = outbox;
  sessionStorage.setItem("outbox", JSON.stringify(outbox.filter(({ status }) => status !== "sent")));
  changed();
}

/** Take up what an earlier page of this tab left behind. */
export function restoreOutbox() {
  const kept = JSON.parse(sessionStorage.getItem("outbox") ?? "[]");
  keep(kept.filter((item) => item.sender === state.me.user_id));
  pump();
}

/** Show it at once, and send it as soon as what was written before is sent. */
export function send(conversation, body) {
  const item = { client_id: uuid(), sender: state.me.user_id, conversation, body, written_at: new Date().toISOString() };
  retry(item);
}

export function retry(item) {
  item.status = "waiting";
  keep([...discarded(item), item]);
  pump();
}

export const discard = (item) => keep(discarded(item));
const discarded = (item) => state.outbox.filter((other) => other !== item);

let isPumping = false;
async function pump() {
  if (isPumping) return;
  isPumping = true;
  for (let item; (item = state.outbox.find(({ status }) => status === "waiting")); ) await post(item);
  isPumping = false;
}

async function post(item) {
  const { client_id, conversation, body } = item;
  try {
    const { seq } = await call("POST", "messages/", { client_id, conversation, message_body: body });
    Object.assign(item, { status: "sent", seq }); // shown until the event puts the message itself in place
  } catch (error) {
    if (error.isTemporary) await untilHurried(error.retryAfter || 2);
    else Object.assign(item, { status: "failed", reason: error.message });
  }
  keep(state.outbox);
}

/** Send now what waits: the server is back. */
export let hurry = () => {};
const untilHurried = (seconds) =>
  new Promise((later) => {
    hurry = later;
    setTimeout(later, seconds * 1000);
  });

/** A UUID of version 4; crypto.randomUUID is missing from pages over plain HTTP. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
