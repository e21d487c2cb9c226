/**
 * What the page shows, made of what was loaded and of the events since.
 *
 * Every handler may run twice on the same event, and on state that already has it:
 * an event carries its object as it is now, so it is put in place of the older one,
 * and numbers only rise.
 */
import { ApiError, get, nextPath } from "./api.js";
import { inOrder } from "./stream.js";

const PAGE = 100; // messages loaded at once
const TYPING_FOR = 5_000;

export const state = {
  me: null,
  people: new Map(), // user_id -> the public person
  conversations: new Map(), // conversation_id -> conversation; `read` maps user_id -> last_read_seq
  nextConversations: null,
  isLoaded: false,
  isLive: true,
  wanted: null, // the conversation_id in the address
  room: null, // the open conversation: {id, messages, newAfter}, `messages` without a gap
  outbox: [], // own messages that the server has not, or not yet said that it has
  typing: new Map(), // conversation_id -> Map of user_id -> timer
};

// --- Telling the views -----------------------------------------------------------

const views = new Set();
let isDue = false;
/** Call `view` after each change, once for many; return how to stop. */
export function onChange(view) {
  views.add(view);
  return () => views.delete(view);
}
export function changed() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    for (const view of views) view();
  });
}

/** Listeners of what is told once: a message of somebody else, a conversation lost. */
export const notices = new EventTarget();
const notify = (type, detail) => notices.dispatchEvent(new CustomEvent(type, { detail }));

// --- Reading it ------------------------------------------------------------------

export const isMe = (userId) => userId === state.me?.user_id;
export const unreadOf = (conversation) => conversation.last_seq - (conversation.read.get(state.me.user_id) ?? 0);
export const othersOf = (conversation) =>
  [...conversation.read.keys()].filter((id) => !isMe(id)).map((id) => state.people.get(id));
export const nameOf = (person) =>
  person ? `${person.first_name} ${person.last_name}`.trim() || person.username : "Somebody";

export function titleOf(conversation) {
  if (conversation.title) return conversation.title;
  const others = othersOf(conversation);
  const more = conversation.participant_count - 1 - others.length;
  return others.map(nameOf).join(", ") + (more > 0 ? ` and ${more} more` : "") || "Only you";
}
export const byActivity = () =>
  [...state.conversations.values()].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
export const openConversation = () => state.room && state.conversations.get(state.room.id);
/** Whether the room's last message is the conversation's: new ones can be appended. */
export const isAtEnd = (room) => lastOf(room) === state.conversations.get(room.id)?.last_seq;
export const firstOf = (room) => room.messages[0]?.seq ?? 1;
export const lastOf = (room) => room.messages.at(-1)?.seq ?? 0;
export const waitingIn = (conversation) =>
  state.outbox.filter((item) => item.conversation === conversation.conversation_id && !(item.seq <= conversation.last_seq));

// --- Putting things in place -----------------------------------------------------

const later = (a, b) => (a > b ? a : b); // of times, numbers

function know(person) {
  const { user_id, username, first_name, last_name, is_online, last_seen_at } = person;
  state.people.set(user_id, { user_id, username, first_name, last_name, is_online, last_seen_at });
}

function raise(conversation, userId, seq) {
  if (isMe(userId) || conversation.read.has(userId)) {
    conversation.read.set(userId, later(seq, conversation.read.get(userId) ?? 0));
  }
}

function put(data) {
  const id = data.conversation_id;
  const known = state.conversations.get(id) ?? { read: new Map(), last_seq: 0, updated_at: "" };
  const isWhole = data.participants.length === data.participant_count; // else a preview
  const read = new Map(isWhole ? [] : known.read);
  for (const person of data.participants) {
    know(person);
    read.set(person.user_id, later(person.last_read_seq, known.read.get(person.user_id) ?? 0));
  }
  const mine = data.last_read_seq ?? read.get(state.me.user_id) ?? 0;
  read.set(state.me.user_id, later(mine, known.read.get(state.me.user_id) ?? 0));
  state.conversations.set(id, {
    conversation_id: id,
    title: data.title,
    owner: data.owner,
    participant_count: data.participant_count,
    last_message: data.last_seq >= known.last_seq ? data.last_message : known.last_message,
    last_seq: later(data.last_seq, known.last_seq),
    updated_at: later(data.updated_at, known.updated_at),
    read,
  });
  return state.conversations.get(id);
}

function drop(id) {
  const conversation = state.conversations.get(id);
  state.conversations.delete(id);
  state.outbox = state.outbox.filter((item) => item.conversation !== id);
  notify("outbox");
  if (conversation && state.wanted === id) notify("lost", conversation);
  if (state.room?.id === id) state.room = null;
}

/** Load one; null if it is none of mine. */
async function fetchConversation(id) {
  try {
    const detail = await get(`conversations/${id}/`);
    return { conversation: put(detail), messages: detail.messages.reverse() };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    return null;
  }
}
const known = async (id) => state.conversations.get(id) ?? (await fetchConversation(id))?.conversation;

// --- Loading ---------------------------------------------------------------------

/** Load what is shown, in place of what was; part of `inOrder`. */
export async function load() {
  const page = await get("conversations/");
  const before = state.conversations;
  state.conversations = new Map();
  page.results.forEach(put);
  state.nextConversations = nextPath(page);
  state.isLoaded = true;
  if (state.wanted) await fillRoom(state.wanted);
  if (state.wanted && !state.room && before.has(state.wanted)) notify("lost", before.get(state.wanted));
  changed();
}

export const loadMoreConversations = () =>
  inOrder(async () => {
    if (!state.nextConversations) return;
    const page = await get(state.nextConversations);
    page.results.forEach(put);
    state.nextConversations = nextPath(page);
    changed();
  });

/** Search everything: the ids of conversations, and messages. */
export const search = (text) =>
  inOrder(async () => {
    const [found, messages] = await Promise.all([get("conversations/", { search: text }), get("messages/", { search: text })]);
    found.results.forEach(put);
    return { conversations: found.results.map((item) => item.conversation_id), messages: messages.results };
  });

/** Open a conversation: where reading stopped, or around the message `seq`. */
export function open(id, seq) {
  state.wanted = id;
  state.room = null;
  changed();
  return inOrder(() => state.wanted === id && fillRoom(id, seq)).finally(changed);
}

export function close() {
  state.wanted = state.room = null;
  changed();
}

async function fillRoom(id, seq) {
  state.room = null;
  const found = await fetchConversation(id);
  if (!found) return notify("absent");
  if (state.wanted !== id) return; // another was opened meanwhile
  const { conversation } = found;
  let { messages } = found;
  const hasNew = unreadOf(conversation) > 0;
  const newAfter = hasNew ? conversation.read.get(state.me.user_id) : null;
  const target = seq ?? newAfter ?? conversation.last_seq;
  if (target < (messages[0]?.seq ?? 0) + 10 && messages[0]?.seq > 1) {
    messages = await page(id, { after_seq: Math.max(0, target - PAGE / 2), ordering: "seq" });
  }
  state.room = { id, messages, newAfter, target: seq ?? null };
  messages.forEach((message) => know(message.sender));
}

async function page(id, parameters) {
  return (await get("messages/", { conversation_id: id, page_size: PAGE, ...parameters })).results;
}

/** Load older or newer messages at an end of the room; whether there were any. */
export const extend = (room, isOlder) =>
  inOrder(async () => {
    const hasMore = isOlder ? firstOf(room) > 1 : !isAtEnd(room);
    if (room !== state.room || !hasMore) return false;
    const found = isOlder
      ? (await page(room.id, { before_seq: firstOf(room), ordering: "-seq" })).reverse()
      : await page(room.id, { after_seq: lastOf(room), ordering: "seq" });
    found.forEach((message) => know(message.sender));
    room.messages = isOlder ? [...found, ...room.messages] : [...room.messages, ...found];
    return found.length > 0;
  });

/** Look again who is online: that is told live only, and missed while away. */
export const refreshPeople = () =>
  inOrder(async () => {
    const { results } = await get("conversations/");
    results.flatMap((conversation) => conversation.participants).forEach(know);
    changed();
  }).catch(() => {});

// --- Events ----------------------------------------------------------------------

async function replaceMessage({ conversation_id: id, message }) {
  const conversation = await known(id);
  if (conversation?.last_message?.message_id === message.message_id) conversation.last_message = message;
  if (state.room?.id !== id) return;
  const at = message.seq - firstOf(state.room);
  if (state.room.messages[at]) state.room.messages[at] = message;
}

const handlers = {
  async "message.created"(event) {
    const { message, conversation_id: id } = event;
    const conversation = await known(id);
    if (!conversation) return;
    const isNew = message.seq > conversation.last_seq;
    if (state.room?.id === id && message.seq === lastOf(state.room) + 1) state.room.messages.push(message);
    else await replaceMessage(event);
    if (message.seq >= conversation.last_seq) conversation.last_message = message;
    conversation.last_seq = later(conversation.last_seq, message.seq);
    conversation.updated_at = later(conversation.updated_at, message.sent_at);
    raise(conversation, message.sender.user_id, message.seq);
    know(message.sender);
    stopTyping(id, message.sender.user_id);
    if (isMe(message.sender.user_id)) forget(message.client_id);
    else if (isNew) notify("message", { conversation, message });
  },
  "message.updated": replaceMessage,
  "message.deleted": replaceMessage,
  async "conversation.created"({ conversation }) {
    await known(conversation.conversation_id);
  },
  async "conversation.updated"({ conversation }) {
    if (await known(conversation.conversation_id)) put(conversation);
  },
  "conversation.deleted": ({ conversation_id: id }) => drop(id),
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
  "read.updated"({ conversation_id: id, user_id, last_read_seq }) {
    if (state.conversations.has(id)) raise(state.conversations.get(id), user_id, last_read_seq);
  },
  typing({ conversation_id: id, user_id }) {
    if (!state.typing.has(id)) state.typing.set(id, new Map());
    stopTyping(id, user_id);
    state.typing.get(id).set(user_id, setTimeout(() => stopTyping(id, user_id), TYPING_FOR));
  },
  presence({ user_id, is_online, last_seen_at }) {
    const person = state.people.get(user_id);
    if (person) state.people.set(user_id, { ...person, is_online, last_seen_at });
  },
};

/** Change the state by one event; part of `inOrder`. */
export async function handle(type, data) {
  await handlers[type]?.(data);
  changed();
}

function stopTyping(id, userId) {
  clearTimeout(state.typing.get(id)?.get(userId));
  if (state.typing.get(id)?.delete(userId)) changed();
}

function forget(clientId) {
  state.outbox = state.outbox.filter((item) => item.client_id !== clientId);
  notify("outbox");
}

