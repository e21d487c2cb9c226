/**
 * What the page shows, made of what was loaded and of the events since.
 *
 * Every handler may run twice on the same event, and on state that already has it: an
 * event carries its object as it was when it was sent, so it is put in place of the older
 * one. Should that step back for a moment, the events that follow step forward again.
 */
import { call, changed, get, inOrder, notify, pause, search } from "./api.js";

const PAGE = 60; // messages loaded at once
const MOST = 200; // messages of a conversation that are kept, and in the page
const MOST_ROOMS = 10; // conversations of which they are kept
const TYPING_FOR = 5_000;

export const state = {
  me: null,
  people: new Map(), // user_id -> the public person
  // conversation_id -> conversation; maps of user_id: `read` to last_read_seq, `joined` to joined_seq, `typing` to since when
  conversations: new Map(),
  nextConversations: null, // the address of their next page
  isLoaded: false,
  isLive: true,
  wanted: null, // the conversation_id in the address
  target: null, // the message's seq in the address
  // the open conversation: {id, messages, firstNew, target, isLed, isAtBottom, isExtending}; no gap in `messages`
  room: null,
  rooms: new Map(), // conversation_id -> room, of those opened last: events change them, too
  drafts: new Map(), // conversation_id -> {text, edit}; `edit` is {message_id, text}, or null
  outbox: [], // own messages that the server is not known to have; with a `reason` if it refused them
};

// --- Reading it ------------------------------------------------------------------

export const isMe = (userId) => userId === state.me.user_id;
export const unreadOf = ({ last_seq, read }) => last_seq - read.get(state.me.user_id);
export const othersOf = ({ read }) => [...read.keys()].filter((id) => !isMe(id)).map((id) => state.people.get(id));
/** The other one of two; nobody in a group. */
export const partnerOf = (conversation) => (conversation.participant_count === 2 ? othersOf(conversation)[0] : null);
export const nameOf = ({ first_name, last_name, username }) => `${first_name} ${last_name}`.trim() || username;
export const shortNameOf = ({ first_name, username }) => first_name || username;
export const countOf = ({ participant_count: count }) => (count === 1 ? "Only you" : `${count} people`);
export const titleOf = (conversation) =>
  conversation.title || othersOf(conversation).map(nameOf).join(", ") || countOf(conversation);
export const byActivity = () =>
  [...state.conversations.values()].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
export const openConversation = () => state.room && state.conversations.get(state.room.id);
export const firstOf = ({ messages }) => messages[0]?.seq ?? 1;
const lastOf = ({ messages }) => messages.at(-1)?.seq ?? 0;
/** Whether the room's last message is the conversation's: new ones can be appended. */
export const isAtEnd = (room) => lastOf(room) >= state.conversations.get(room.id)?.last_seq;
/** Whether somebody is looking at the room's last messages. */
export const isLookedAt = ({ isAtBottom }) => isAtBottom && !document.hidden && document.hasFocus();
/** Who has read a message: those who were there when it came. What was said before they joined they may never have seen. */
export const readersOf = (conversation, seq) =>
  othersOf(conversation).filter(({ user_id: id }) => conversation.joined.get(id) < seq && seq <= conversation.read.get(id));

// --- Putting things in place -----------------------------------------------------

const know = (person) => state.people.set(person.user_id, person);
const raise = ({ read }, userId, seq) => read.set(userId, Math.max(seq, read.get(userId) ?? 0));

/** `participants` are not always all, and events do not say how far the one has read who gets them. */
function put({ participants, last_read_seq = 0, ...data }) {
  const known = state.conversations.get(data.conversation_id) ?? { read: new Map(), joined: new Map(), typing: new Map() };
  const conversation = Object.assign(known, data);
  state.conversations.set(data.conversation_id, conversation);
  participants.forEach(know);
  for (const { user_id, last_read_seq, joined_seq = 0 } of participants) {
    raise(conversation, user_id, last_read_seq);
    conversation.joined.set(user_id, joined_seq);
  }
  raise(conversation, state.me.user_id, last_read_seq);
  return conversation;
}

/** Put a message in place of the older one, or after the last, unless what one reads would have to go for it. */
function putMessage(conversation, message) {
  const { seq, sent_at } = message;
  if (seq > conversation.last_seq) conversation.updated_at = sent_at;
  if (seq >= conversation.last_seq) Object.assign(conversation, { last_seq: seq, last_message: message });
  const room = state.rooms.get(conversation.conversation_id);
  if (!room) return;
  const at = seq - firstOf(room);
  const isReadAbove = room === state.room && !room.isAtBottom;
  const isNext = seq === lastOf(room) + 1 && (!isReadAbove || room.messages.length < MOST);
  if (room.messages[at]) room.messages[at] = message;
  else if (isNext) room.messages = [...room.messages, message].slice(-MOST);
}

function drop(id) {
  const conversation = state.conversations.get(id);
  state.conversations.delete(id);
  state.rooms.delete(id);
  keep(state.outbox.filter((item) => item.conversation !== id));
  keepDraft(id, {});
  if (state.room?.id === id) state.room = null;
  if (conversation && state.wanted === id) notify("closed", `You are no longer in “${titleOf(conversation)}”.`);
}

// --- Loading ---------------------------------------------------------------------

function putPage({ results, next }) {
  results.forEach(put);
  state.nextConversations = next;
}

/** Load conversations: the first, or those at an address. */
export const loadConversations = (path = "conversations/") => inOrder(async () => putPage(await call("GET", path)));

/** Load a conversation; return its newest messages, or null if it is none of mine. */
async function fetchConversation(id) {
  try {
    const { messages, ...conversation } = await call("GET", `conversations/${id}/`);
    put(conversation);
    return messages.reverse();
  } catch (error) {
    if (error.status !== 404) throw error;
    return null;
  }
}

async function known(id) {
  if (!state.conversations.has(id)) await fetchConversation(id);
  return state.conversations.get(id);
}

const fetchMessages = (id, parameters) =>
  get("messages/", { conversation_id: id, page_size: PAGE, ...parameters }).then(({ results }) => results);

/** Load what is shown, in place of what was. */
async function load() {
  const page = await call("GET", "conversations/");
  state.conversations.clear();
  state.rooms.clear();
  putPage(page);
  state.isLoaded = true;
  changed();
  if (state.wanted) await fillRoom();
}

/** Search everything: the ids of conversations, and messages. It may take long: only what was found is put in order. */
export async function searchAll(text, isWanted) {
  const lists = ["conversations/", "messages/"].map((path) => search(path, text, isWanted));
  const [conversations, messages] = await Promise.all(lists);
  const ids = conversations.results.map(({ conversation_id }) => conversation_id);
  // What is known already is newer: events have changed it meanwhile.
  await inOrder(() => conversations.results.forEach((item, at) => state.conversations.has(ids[at]) || put(item)));
  return { text, ids, messages: messages.results, isAll: !conversations.next && !messages.next };
}

/** Open a conversation, or none: where reading stopped, or around the message `seq`. */
export async function open(id, seq = null) {
  Object.assign(state, { wanted: id, target: seq });
  if (state.room?.id !== id) state.room = null;
  changed();
  return reenter(id, seq) || inOrder(() => state.isLoaded && state.wanted && fillRoom(true));
}

/** Where one is led: to the message asked for, to the first one that is new, or to the end. */
function destination(conversation, target) {
  const firstNew = unreadOf(conversation) > 0 ? conversation.read.get(state.me.user_id) + 1 : undefined;
  return { target, firstNew, seq: target ?? firstNew ?? conversation.last_seq };
}

function enter(room) {
  state.room = room;
  state.rooms.delete(room.id);
  state.rooms.set(room.id, room);
  if (state.rooms.size > MOST_ROOMS) state.rooms.delete(state.rooms.keys().next().value);
}

/** Open a room that is kept, if it has the place one is led to: events have kept it up to date. True if so. */
function reenter(id, target) {
  const [room, conversation] = [state.rooms.get(id), state.conversations.get(id)];
  if (!room || !conversation) return false;
  const { seq, ...place } = destination(conversation, target);
  const isThere = seq <= lastOf(room) && (seq >= firstOf(room) || firstOf(room) === 1);
  if (isThere) enter({ ...room, ...place, isLed: true, isAtBottom: false, isExtending: false });
  return isThere;
}

/** Load the room. With `isLed` one is led to its place, else one stays: it is loaded anew. */
async function fillRoom(isLed = false) {
  const { wanted: id, target } = state;
  let messages = await fetchConversation(id);
  if (state.wanted !== id) return; // another was opened meanwhile
  if (!messages) return notify("closed", "This conversation does not exist.");
  const { seq, ...place } = destination(state.conversations.get(id), target);
  if (messages[0]?.seq > 1 && seq < messages[0].seq + 10) {
    messages = await fetchMessages(id, { after_seq: Math.max(0, seq - PAGE / 2), ordering: "seq" });
  }
  if (state.wanted === id) enter({ id, messages, ...place, isLed, isAtBottom: false });
}

/** Have the server know that I have read up to a message. */
export async function markRead({ conversation, message_id, seq }) {
  await call("POST", `messages/${message_id}/mark_as_read/`);
  // The event says the same, but perhaps later.
  const data = { conversation_id: conversation, user_id: state.me.user_id, last_read_seq: seq };
  await inOrder(() => handle("read.updated", data));
}

/** Move the room on to older or newer messages, if that is wanted yet when they are there. */
export async function extend(isOlder, isWanted) {
  const { room } = state;
  if (room.isExtending) return;
  room.isExtending = true;
  // If it fails, more scrolling tries again.
  await inOrder(() => extendRoom(room, isOlder, isWanted)).catch(() => pause(2_000));
  room.isExtending = false;
}

/** Extend it at one end; at the other as many are let go. */
async function extendRoom(room, isOlder, isWanted) {
  const older = { before_seq: firstOf(room), ordering: "-seq" };
  const found = await fetchMessages(room.id, isOlder ? older : { after_seq: lastOf(room), ordering: "seq" });
  if (!isWanted()) return;
  if (isOlder) room.messages = [...found.reverse(), ...room.messages].slice(0, MOST);
  else room.messages = [...room.messages, ...found].slice(-MOST);
}

// --- Events ----------------------------------------------------------------------

async function conversationChanged({ conversation_id: id, conversation, participant }) {
  if (await known(id)) put({ ...conversation, participants: conversation.participants.concat(participant ?? []) });
}

async function messageChanged({ conversation_id: id, message }) {
  const conversation = await known(id);
  if (!conversation) return;
  const { sender, seq } = message;
  const isNew = seq > conversation.last_seq;
  if (isNew && !isMe(sender.user_id)) markFirstNew(conversation, seq);
  putMessage(conversation, message);
  if (conversation.read.has(sender.user_id)) raise(conversation, sender.user_id, seq);
  know(sender);
  conversation.typing.delete(sender.user_id);
  if (isMe(sender.user_id)) discard(message);
  else if (isNew) notify("message", { conversation, message });
}

/** Where nobody looks at the end, what comes after all was read is new: there a line is drawn. */
function markFirstNew(conversation, seq) {
  const { room } = state;
  if (room?.id !== conversation.conversation_id || isLookedAt(room)) return;
  if (unreadOf(conversation) < 1 || !room.firstNew) room.firstNew = seq;
}

const handlers = {
  ready: load,
  reset: load,
  "message.created": messageChanged,
  "message.updated": messageChanged,
  "message.deleted": messageChanged,
  "conversation.created": conversationChanged,
  "conversation.updated": conversationChanged,
  "participant.added": conversationChanged,
  "conversation.deleted": ({ conversation_id: id }) => drop(id),
  async "participant.removed"({ conversation_id: id, participant }, conversation) {
    if (isMe(participant.user_id)) return drop(id);
    conversation?.read.delete(participant.user_id);
    if (conversation) await fetchConversation(id); // how many there are now is not in the event
  },
  "read.updated"({ user_id, last_read_seq }, conversation) {
    if (conversation?.read.has(user_id)) raise(conversation, user_id, last_read_seq);
  },
  typing({ user_id }, conversation) {
    if (!conversation?.read.has(user_id)) return;
    const { typing } = conversation;
    const since = Date.now();
    typing.set(user_id, since);
    setTimeout(() => typing.get(user_id) === since && typing.delete(user_id) && changed(), TYPING_FOR);
  },
  presence({ user_id, is_online, last_seen_at }) {
    if (state.people.has(user_id)) Object.assign(state.people.get(user_id), { is_online, last_seen_at });
  },
};

export const types = Object.keys(handlers);
/** Change the state by one event; part of `inOrder`. */
export const handle = async (type, data) => handlers[type](data, state.conversations.get(data?.conversation_id));

// --- Own messages on their way -----------------------------------------------------
// Each has a client_id, so it can be sent again as often as it takes and is stored
// once. They outlive a reload of the tab, and a session that ends by itself.

export const waitingIn = ({ conversation_id: id }) => state.outbox.filter((item) => item.conversation === id);

const nameInStorage = (kind) => `${kind} of ${state.me.user_id}`;
const store = (kind, list, replacer) => sessionStorage.setItem(nameInStorage(kind), JSON.stringify(list, replacer));
const stored = (kind) => JSON.parse(sessionStorage.getItem(nameInStorage(kind)) ?? "[]");

function keep(outbox) {
  state.outbox = outbox;
  store("outbox", outbox);
  changed();
}

/** Take up what an earlier page of this tab left behind. */
export function restore() {
  state.drafts = new Map(stored("drafts"));
  keep(stored("outbox"));
  state.outbox.forEach(enqueue);
}

/** Forget what was written and not sent, for good. */
export function forget() {
  state.outbox = []; // what is being sent may fail yet, and would be kept
  state.drafts.clear();
  sessionStorage.clear();
}

// --- What is being written ---------------------------------------------------------
// It outlives the same, as far as that is bounded.

const MOST_DRAFTS = 20;
const LONGEST_DRAFT = 20_000; // characters, twice what can be sent

export const draftOf = (id) => state.drafts.get(id) ?? { text: "", edit: null };

/** Keep what is being written in a conversation: a message, the new words of another, or nothing. */
export function keepDraft(id, { text = "", edit = null }) {
  state.drafts.delete(id); // the last one written comes last
  if (text || edit) state.drafts.set(id, { text, edit });
  const shortened = (_, value) => (typeof value === "string" ? value.slice(0, LONGEST_DRAFT) : value);
  store("drafts", [...state.drafts].slice(-MOST_DRAFTS), shortened);
}

// --- Sending -----------------------------------------------------------------------

/** Show it at once, and send it as soon as what was written before is sent. */
export function send(conversation, message_body) {
  retry({ client_id: uuid(), conversation, message_body, sender: state.me, sent_at: new Date().toISOString() });
}

export function retry(item) {
  const again = { ...item, reason: "" };
  keep([...without(item), again]);
  enqueue(again);
}

export const discard = (item) => keep(without(item));
const without = ({ client_id }) => state.outbox.filter((item) => item.client_id !== client_id);

let sending = Promise.resolve();
const enqueue = (item) => (sending = sending.then(() => post(item)));

/** Send it until it is stored or refused, or not wanted any more. */
async function post(item) {
  const { client_id, conversation, message_body } = item;
  while (!item.reason && state.outbox.includes(item)) {
    try {
      const message = await call("POST", "messages/", { client_id, conversation, message_body });
      // The event says the same, but perhaps later.
      await inOrder(() => handle("message.created", { conversation_id: conversation, message }));
      discard(item);
    } catch (error) {
      if (error.isTemporary) await pause((error.retryAfter || 2) * 1000);
      else keep(state.outbox.map((other) => (other === item ? { ...item, reason: error.message } : other)));
    }
  }
}

/** A UUID of version 4; crypto.randomUUID is missing from pages over plain HTTP. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})/, "$1-$2-4$3-8$4-");
}
