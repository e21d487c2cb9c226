/**
 * What the page shows, made of what was loaded and of the events since.
 *
 * Every handler may run twice on the same event, and on state that already has it: an
 * event carries its object as it was when it was sent, so it is put in place of the older
 * one. Should that step back for a moment, the events that follow step forward again.
 */
import { call, get, search } from "./api.js";
import { changed, inOrder, notify, pause } from "./changes.js";
import { t } from "./texts.js";

const PAGE = 60; // messages loaded at once
const MOST = 200; // messages of a conversation that are kept, and in the page
const MOST_TIMELINES = 10; // conversations of which they are kept
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
  timeline: null,
  timelines: new Map(), // conversation_id -> timeline, of those opened last: events change them, too
};

// --- Reading it ------------------------------------------------------------------

export const isMe = (userId) => userId === state.me.user_id;
export const unreadOf = ({ last_seq, read }) => last_seq - read.get(state.me.user_id);
export const othersOf = ({ read }) => [...read.keys()].filter((id) => !isMe(id)).map((id) => state.people.get(id));
/** The other one of two; nobody in a group. */
export const partnerOf = (conversation) => (conversation.participant_count === 2 ? othersOf(conversation)[0] : null);
export const nameOf = ({ first_name, last_name, username }) => `${first_name} ${last_name}`.trim() || username;
export const textOf = ({ deleted_at, message_body }) => (deleted_at ? t("message.deleted") : message_body);
export const shortNameOf = ({ first_name, username }) => first_name || username;
export const countOf = ({ participant_count: count }) => (count === 1 ? t("people.only_you") : t("people.count", { count }));
export const titleOf = (conversation) =>
  conversation.title || othersOf(conversation).map(nameOf).join(", ") || countOf(conversation);
export const byActivity = () =>
  [...state.conversations.values()].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
export const openConversation = () => state.timeline && state.conversations.get(state.timeline.id);
export const firstOf = ({ messages }) => messages[0]?.seq ?? 1;
const lastOf = ({ messages }) => messages.at(-1)?.seq ?? 0;
/** Whether the timeline's last message is the conversation's: new ones can be appended. */
export const isAtEnd = (timeline) => lastOf(timeline) >= state.conversations.get(timeline.id)?.last_seq;
/** Whether somebody is looking at the timeline's last messages. */
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
  const timeline = state.timelines.get(conversation.conversation_id);
  if (!timeline) return;
  const at = seq - firstOf(timeline);
  const isReadAbove = timeline === state.timeline && !timeline.isAtBottom;
  const isNext = seq === lastOf(timeline) + 1 && (!isReadAbove || timeline.messages.length < MOST);
  if (timeline.messages[at]) timeline.messages[at] = message;
  else if (isNext) timeline.messages = [...timeline.messages, message].slice(-MOST);
}

function drop(id) {
  const conversation = state.conversations.get(id);
  state.conversations.delete(id);
  state.timelines.delete(id);
  notify("dropped", id);
  if (state.timeline?.id === id) state.timeline = null;
  if (conversation && state.wanted === id) notify("closed", t("conversation.left", { title: titleOf(conversation) }));
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
  state.timelines.clear();
  putPage(page);
  state.isLoaded = true;
  changed();
  if (state.wanted) await fillTimeline();
}

/** Search everything: the ids of conversations, people, messages. It may take long: only what was found is put in order. */
export async function searchAll(text, isWanted) {
  const lists = ["conversations/", "users/", "messages/"].map((path) => search(path, text, isWanted));
  const [conversations, people, messages] = await Promise.all(lists);
  const ids = conversations.results.map(({ conversation_id }) => conversation_id);
  // What is known already is newer: events have changed it meanwhile.
  await inOrder(() => conversations.results.forEach((item, at) => state.conversations.has(ids[at]) || put(item)));
  const withHits = new Set(messages.results.map(({ conversation }) => conversation));
  // Their titles. A hit is shown without one, too.
  await Promise.all([...withHits].map((id) => isWanted() && inOrder(() => known(id)).catch(() => {})));
  const others = people.results.filter(({ user_id }) => !isMe(user_id));
  return { text, ids, people: others, messages: messages.results, isAll: ![conversations, people, messages].some(({ next }) => next) };
}

/** Open a conversation, or none: where reading stopped, or around the message `seq`. */
export async function open(id, seq = null) {
  Object.assign(state, { wanted: id, target: seq });
  if (state.timeline?.id !== id) state.timeline = null;
  changed();
  return reenter(id, seq) || inOrder(() => state.isLoaded && state.wanted && fillTimeline(true));
}

/** Where one is led: to the message asked for, to the first one that is new, or to the end. */
function destination(conversation, target) {
  const firstNew = unreadOf(conversation) > 0 ? conversation.read.get(state.me.user_id) + 1 : undefined;
  return { target, firstNew, seq: target ?? firstNew ?? conversation.last_seq };
}

function enter(timeline) {
  state.timeline = timeline;
  state.timelines.delete(timeline.id);
  state.timelines.set(timeline.id, timeline);
  if (state.timelines.size > MOST_TIMELINES) state.timelines.delete(state.timelines.keys().next().value);
}

/** Open a timeline that is kept, if it has the place one is led to: events have kept it up to date. True if so. */
function reenter(id, target) {
  const [timeline, conversation] = [state.timelines.get(id), state.conversations.get(id)];
  if (!timeline || !conversation) return false;
  const { seq, ...place } = destination(conversation, target);
  const isThere = seq <= lastOf(timeline) && (seq >= firstOf(timeline) || firstOf(timeline) === 1);
  if (isThere) enter({ ...timeline, ...place, isLed: true, isAtBottom: false, isExtending: false });
  return isThere;
}

/** Load the timeline. With `isLed` one is led to its place, else one stays: it is loaded anew. */
async function fillTimeline(isLed = false) {
  const { wanted: id, target } = state;
  let messages = await fetchConversation(id);
  if (state.wanted !== id) return; // another was opened meanwhile
  if (!messages) return notify("closed", t("conversation.missing"));
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

/** Have the server know that I have read all of a conversation. */
export async function markAllRead({ conversation_id }) {
  const { last_read_seq } = await call("POST", "messages/mark_conversation_as_read/", { conversation_id });
  await inOrder(() => handle("read.updated", { conversation_id, user_id: state.me.user_id, last_read_seq }));
}

/** Move the timeline on to older or newer messages, if that is wanted yet when they are there. */
export async function extend(isOlder, isWanted) {
  const { timeline } = state;
  if (timeline.isExtending) return;
  timeline.isExtending = true;
  // If it fails, more scrolling tries again.
  await inOrder(() => extendTimeline(timeline, isOlder, isWanted)).catch(() => pause(2_000));
  timeline.isExtending = false;
}

/** Extend it at one end; at the other as many are let go. */
async function extendTimeline(timeline, isOlder, isWanted) {
  const older = { before_seq: firstOf(timeline), ordering: "-seq" };
  const found = await fetchMessages(timeline.id, isOlder ? older : { after_seq: lastOf(timeline), ordering: "seq" });
  if (!isWanted()) return;
  if (isOlder) timeline.messages = [...found.reverse(), ...timeline.messages].slice(0, MOST);
  else timeline.messages = [...timeline.messages, ...found].slice(-MOST);
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
  if (isMe(sender.user_id)) notify("own message", message);
  else if (isNew) notify("message", { conversation, message });
}

/** Where nobody looks at the end, what comes after all was read is new: there a line is drawn. */
function markFirstNew(conversation, seq) {
  const { timeline } = state;
  if (timeline?.id !== conversation.conversation_id || isLookedAt(timeline)) return;
  if (unreadOf(conversation) < 1 || !timeline.firstNew) timeline.firstNew = seq;
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
