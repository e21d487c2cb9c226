/**
 * The conversations of somebody, made of what was loaded and of the events since.
 *
 * Every handler may run twice on the same event, and on state that already has it: an
 * event carries its object as it was when it was sent, so it is put in place of the older
 * one. Should that step back for a moment, the events that follow step forward again.
 */
import { Notices } from "./notices.js";
import { pause, serially } from "./timing.js";

const PAGE = 60; // messages loaded at once
const MOST = 200; // messages of a conversation that are kept
const MOST_TIMELINES = 10; // conversations of which they are kept
const TYPING_FOR = 5_000;

export const nameOf = ({ first_name, last_name, username }) => `${first_name} ${last_name}`.trim() || username;
export const shortNameOf = ({ first_name, username }) => first_name || username;
export const firstOf = ({ messages }) => messages[0]?.seq ?? 1;
const lastOf = ({ messages }) => messages.at(-1)?.seq ?? 0;
const raise = ({ read }, userId, seq) => read.set(userId, Math.max(seq, read.get(userId) ?? 0));
/** What differs by reader is not in events; it is computed, lest it grow old. */
const withoutReader = ({ is_read, ...message }) => message;

/**
 * Notices: `change` after every change; `message` with `{ conversation, message }`, a new one of
 * somebody else; `own message` with one of mine; `dropped` with the id of a conversation that is
 * none of mine any more; `closed` with `{ reason, conversation }`, where what was open is `left`
 * or `missing`.
 */
export class Store extends Notices {
  me = null;
  people = new Map(); // user_id -> the public person
  // conversation_id -> conversation; maps of user_id: `read` to last_read_seq, `joined` to joined_seq, `typing` to since when
  conversations = new Map();
  nextConversations = null; // the address of their next page
  isLoaded = false;
  version = 0; // another one after each change, for frameworks that compare
  wanted = null; // the conversation_id to be open
  target = null; // the seq of the message to be shown in it
  // the open conversation: {id, messages, firstNew, target, isLed, isAtBottom, isExtending}; no gap in `messages`
  timeline = null;
  timelines = new Map(); // conversation_id -> timeline, of those opened last: events change them, too
  #api;
  #isLookedAt;

  /**
   * `inOrder(task)` runs tasks one after the other, so that what is loaded and what has happened never
   * mix; `isLookedAt(timeline)` tells whether somebody is looking at the timeline's last messages.
   */
  constructor(api, { inOrder = serially(), isLookedAt = ({ isAtBottom }) => isAtBottom } = {}) {
    super();
    this.#api = api;
    this.#isLookedAt = isLookedAt;
    this.inOrder = (task) => inOrder(task).finally(() => this.changed());
  }

  /** Say that what is shown has changed. */
  changed() {
    this.version += 1;
    this.notify("change");
  }

  // --- Reading it ----------------------------------------------------------------

  isMe(userId) {
    return userId === this.me.user_id;
  }

  unreadOf({ last_seq, read }) {
    return Math.max(0, last_seq - read.get(this.me.user_id)); // what is read may be told before it is known
  }

  isRead({ conversation, sender, seq }) {
    return this.isMe(sender.user_id) || seq <= this.conversations.get(conversation)?.read.get(this.me.user_id);
  }

  othersOf({ read }) {
    return [...read.keys()].filter((id) => !this.isMe(id)).map((id) => this.people.get(id));
  }

  /** The other one of two; nobody in a group. */
  partnerOf(conversation) {
    return conversation.participant_count === 2 ? this.othersOf(conversation)[0] : null;
  }

  /** Who has read a message: those who were there when it came. What was said before they joined they may never have seen. */
  readersOf(conversation, seq) {
    const { joined, read } = conversation;
    return this.othersOf(conversation).filter(({ user_id: id }) => joined.get(id) < seq && seq <= read.get(id));
  }

  byActivity() {
    return [...this.conversations.values()].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
  }

  openConversation() {
    return this.timeline && this.conversations.get(this.timeline.id);
  }

  /** Whether the timeline's last message is the conversation's: new ones can be appended. */
  isAtEnd(timeline) {
    return lastOf(timeline) >= this.conversations.get(timeline.id)?.last_seq;
  }

  // --- Putting things in place ---------------------------------------------------

  #know(person) {
    this.people.set(person.user_id, person);
  }

  /** `participants` are not always all, and events do not say how far the one has read who gets them. */
  #put({ participants, last_read_seq = 0, unread_count, last_message, ...data }) {
    const id = data.conversation_id;
    const known = this.conversations.get(id) ?? { read: new Map(), joined: new Map(), typing: new Map() };
    const conversation = Object.assign(known, data, { last_message: last_message && withoutReader(last_message) });
    this.conversations.set(id, conversation);
    for (const person of participants) {
      this.#know(person);
      raise(conversation, person.user_id, person.last_read_seq);
      conversation.joined.set(person.user_id, person.joined_seq ?? 0);
    }
    raise(conversation, this.me.user_id, last_read_seq);
    return conversation;
  }

  /** Put a message in place of the older one, or after the last, unless what one reads would have to go for it. */
  #putMessage(conversation, message) {
    const { seq, sent_at } = message;
    if (seq > conversation.last_seq) conversation.updated_at = sent_at;
    if (seq >= conversation.last_seq) Object.assign(conversation, { last_seq: seq, last_message: message });
    const timeline = this.timelines.get(conversation.conversation_id);
    if (!timeline) return;
    const at = seq - firstOf(timeline);
    const isReadAbove = timeline === this.timeline && !timeline.isAtBottom;
    const isNext = seq === lastOf(timeline) + 1 && (!isReadAbove || timeline.messages.length < MOST);
    if (timeline.messages[at]) timeline.messages[at] = message;
    else if (isNext) timeline.messages = [...timeline.messages, message].slice(-MOST);
  }

  #drop(id) {
    const conversation = this.conversations.get(id);
    this.conversations.delete(id);
    this.timelines.delete(id);
    this.notify("dropped", id);
    if (this.timeline?.id === id) this.timeline = null;
    if (conversation && this.wanted === id) this.notify("closed", { reason: "left", conversation });
  }

  // --- Loading -------------------------------------------------------------------

  #putPage({ results, next }) {
    results.forEach((conversation) => this.#put(conversation));
    this.nextConversations = next;
  }

  /** Load conversations: the first, or those at an address. */
  loadConversations(path = "conversations/") {
    return this.inOrder(async () => this.#putPage(await this.#api.call("GET", path)));
  }

  /** Load a conversation; return its newest messages, or null if it is none of mine. */
  async #fetchConversation(id) {
    try {
      const { messages, ...conversation } = await this.#api.call("GET", `conversations/${id}/`);
      this.#put(conversation);
      return messages.reverse().map(withoutReader);
    } catch (error) {
      if (error.status !== 404) throw error;
      return null;
    }
  }

  async #known(id) {
    if (!this.conversations.has(id)) await this.#fetchConversation(id);
    return this.conversations.get(id);
  }

  async #fetchMessages(id, parameters) {
    const asked = { conversation_id: id, page_size: PAGE, ...parameters };
    const { results } = await this.#api.get("messages/", asked);
    return results.map(withoutReader);
  }

  /** Load what is shown, in place of what was. */
  async #load() {
    this.me ??= await this.#api.get("users/me/");
    const page = await this.#api.call("GET", "conversations/");
    this.conversations.clear();
    this.timelines.clear();
    this.#putPage(page);
    this.isLoaded = true;
    this.changed();
    if (this.wanted) await this.#fillTimeline();
  }

  /** Search everything: the ids of conversations, people, and messages. It may take long: only what was found is put in order. */
  async searchAll(text, isWanted = () => true) {
    const lists = ["conversations/", "users/", "messages/"].map((path) => this.#api.search(path, text, isWanted));
    const [conversations, people, messages] = await Promise.all(lists);
    const ids = conversations.results.map(({ conversation_id }) => conversation_id);
    // What is known already is newer: events have changed it meanwhile.
    await this.inOrder(() => conversations.results.forEach((item) => this.conversations.has(item.conversation_id) || this.#put(item)));
    const withHits = new Set(messages.results.map(({ conversation }) => conversation));
    // Their titles. A hit is shown without one, too.
    await Promise.all([...withHits].map((id) => isWanted() && this.inOrder(() => this.#known(id)).catch(() => {})));
    const isAll = ![conversations, people, messages].some(({ next }) => next);
    return { text, ids, people: people.results.filter(({ user_id }) => !this.isMe(user_id)), messages: messages.results, isAll };
  }

  /** Open a conversation, or none: where reading stopped, or around the message `seq`. */
  async open(id, seq = null) {
    Object.assign(this, { wanted: id, target: seq });
    if (this.timeline?.id !== id) this.timeline = null;
    this.changed();
    return this.#reenter(id, seq) || this.inOrder(() => this.isLoaded && this.wanted && this.#fillTimeline(true));
  }

  /** Where one is led: to the message asked for, to the first one that is new, or to the end. */
  #destination(conversation, target) {
    const firstNew = this.unreadOf(conversation) > 0 ? conversation.read.get(this.me.user_id) + 1 : undefined;
    return { target, firstNew, seq: target ?? firstNew ?? conversation.last_seq };
  }

  #enter(timeline) {
    this.timeline = timeline;
    this.timelines.delete(timeline.id);
    this.timelines.set(timeline.id, timeline);
    if (this.timelines.size > MOST_TIMELINES) this.timelines.delete(this.timelines.keys().next().value);
  }

  /** Open a timeline that is kept, if it has the place one is led to: events have kept it up to date. True if so. */
  #reenter(id, target) {
    const [timeline, conversation] = [this.timelines.get(id), this.conversations.get(id)];
    if (!timeline || !conversation) return false;
    const { seq, ...place } = this.#destination(conversation, target);
    const isThere = seq <= lastOf(timeline) && (seq >= firstOf(timeline) || firstOf(timeline) === 1);
    if (isThere) this.#enter({ ...timeline, ...place, isLed: true, isAtBottom: false, isExtending: false });
    return isThere;
  }

  /** Load the timeline. With `isLed` one is led to its place, else one stays: it is loaded anew. */
  async #fillTimeline(isLed = false) {
    const { wanted: id, target } = this;
    let messages = await this.#fetchConversation(id);
    if (this.wanted !== id) return; // another was opened meanwhile
    if (!messages) return this.notify("closed", { reason: "missing", conversation: null });
    const { seq, ...place } = this.#destination(this.conversations.get(id), target);
    if (messages[0]?.seq > 1 && seq < messages[0].seq + 10) {
      messages = await this.#fetchMessages(id, { after_seq: Math.max(0, seq - PAGE / 2), ordering: "seq" });
    }
    if (this.wanted === id) this.#enter({ id, messages, ...place, isLed, isAtBottom: false });
  }

  /** Have the server know that I have read up to a message. */
  async markRead({ conversation, message_id, seq }) {
    await this.#api.call("POST", `messages/${message_id}/mark_as_read/`);
    // The event says the same, but perhaps later.
    const data = { conversation_id: conversation, user_id: this.me.user_id, last_read_seq: seq };
    await this.inOrder(() => this.handle("read.updated", data));
  }

  /** Have the server know that I have read all of a conversation. */
  async markAllRead({ conversation_id }) {
    const { last_read_seq } = await this.#api.call("POST", "messages/mark_conversation_as_read/", { conversation_id });
    await this.inOrder(() => this.handle("read.updated", { conversation_id, user_id: this.me.user_id, last_read_seq }));
  }

  /** Move the timeline on to older or newer messages, if that is wanted yet when they are there. */
  async extend(isOlder, isWanted = () => true) {
    const { timeline } = this;
    if (timeline.isExtending) return;
    timeline.isExtending = true;
    // If it fails, more scrolling tries again.
    await this.inOrder(() => this.#extendTimeline(timeline, isOlder, isWanted)).catch(() => pause(2_000));
    timeline.isExtending = false;
  }

  /** Extend it at one end; at the other as many are let go. */
  async #extendTimeline(timeline, isOlder, isWanted) {
    const older = { before_seq: firstOf(timeline), ordering: "-seq" };
    const newer = { after_seq: lastOf(timeline), ordering: "seq" };
    const found = await this.#fetchMessages(timeline.id, isOlder ? older : newer);
    if (!isWanted()) return;
    if (isOlder) timeline.messages = [...found.reverse(), ...timeline.messages].slice(0, MOST);
    else timeline.messages = [...timeline.messages, ...found].slice(-MOST);
  }

  // --- Events --------------------------------------------------------------------

  /** What an event of each type changes. Each is given the event's data, and its conversation if that is known. */
  handlers = {
    ready: () => this.#load(),
    reset: () => this.#load(),
    "message.created": (data) => this.#messageChanged(data),
    "message.updated": (data) => this.#messageChanged(data),
    "message.deleted": (data) => this.#messageChanged(data),
    "conversation.created": (data) => this.#conversationChanged(data),
    "conversation.updated": (data) => this.#conversationChanged(data),
    "participant.added": (data) => this.#conversationChanged(data),
    "conversation.deleted": ({ conversation_id: id }) => this.#drop(id),
    "participant.removed": (data, conversation) => this.#participantRemoved(data, conversation),
    "read.updated": ({ user_id, last_read_seq }, conversation) => {
      if (conversation?.read.has(user_id)) raise(conversation, user_id, last_read_seq);
    },
    typing: ({ user_id }, conversation) => this.#typing(user_id, conversation),
    presence: ({ user_id, is_online, last_seen_at }) => {
      if (this.people.has(user_id)) Object.assign(this.people.get(user_id), { is_online, last_seen_at });
    },
  };

  /** Change the state by one event, if its type is known; part of `inOrder`. */
  async handle(type, data) {
    return this.handlers[type]?.(data, this.conversations.get(data?.conversation_id));
  }

  async #conversationChanged({ conversation_id: id, conversation, participant }) {
    const known = await this.#known(id);
    if (!known) return;
    const hasAnotherOwner = known.owner !== conversation.owner;
    this.#put({ ...conversation, participants: conversation.participants.concat(participant ?? []) });
    if (hasAnotherOwner) await this.#fetchConversation(id); // what I may do is not in the event
  }

  async #participantRemoved({ conversation_id: id, participant: { user_id } }, conversation) {
    if (this.isMe(user_id)) return this.#drop(id);
    if (!conversation) return;
    for (const people of [conversation.read, conversation.joined, conversation.typing]) people.delete(user_id);
    await this.#fetchConversation(id); // how many there are now is not in the event
  }

  async #messageChanged({ conversation_id: id, message: sent }) {
    const conversation = await this.#known(id);
    if (!conversation) return;
    const message = withoutReader(sent);
    const { sender, seq } = message;
    const isNew = seq > conversation.last_seq;
    if (isNew && !this.isMe(sender.user_id)) this.#markFirstNew(conversation, seq);
    this.#putMessage(conversation, message);
    if (conversation.read.has(sender.user_id)) raise(conversation, sender.user_id, seq);
    this.#know(sender);
    conversation.typing.delete(sender.user_id);
    if (this.isMe(sender.user_id)) this.notify("own message", message);
    else if (isNew) this.notify("message", { conversation, message });
  }

  /** Where nobody looks at the end, what comes after all was read is new: there a line is drawn. */
  #markFirstNew(conversation, seq) {
    const { timeline } = this;
    if (timeline?.id !== conversation.conversation_id || this.#isLookedAt(timeline)) return;
    if (this.unreadOf(conversation) < 1 || !timeline.firstNew) timeline.firstNew = seq;
  }

  #typing(userId, conversation) {
    if (!conversation?.read.has(userId)) return;
    const { typing } = conversation;
    const since = Date.now();
    typing.set(userId, since);
    setTimeout(() => typing.get(userId) === since && typing.delete(userId) && this.changed(), TYPING_FOR);
  }
}
