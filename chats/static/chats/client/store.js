/** What the page shows: the library's store, with the page's texts and the eyes of its reader. */
import { api } from "./api.js";
import { changed, inOrder, notify } from "./changes.js";
import * as library from "./library/store.js";
import { t } from "./texts.js";

/** Whether somebody is looking at the timeline's last messages. */
export const isLookedAt = ({ isAtBottom }) => isAtBottom && !document.hidden && document.hasFocus();

export const state = Object.assign(new library.Store(api, { inOrder, isLookedAt }), { isLive: true });
state.on("change", changed);
for (const type of ["dropped", "message", "own message"]) state.on(type, (detail) => notify(type, detail));
state.on("closed", ({ conversation }) =>
  notify("closed", conversation ? t("conversation.left", { title: titleOf(conversation) }) : t("conversation.missing")));

// --- Reading it ------------------------------------------------------------------

export const nameOf = library.nameOf;
export const shortNameOf = library.shortNameOf;
export const firstOf = library.firstOf;
export const isMe = (userId) => state.isMe(userId);
export const unreadOf = (conversation) => state.unreadOf(conversation);
export const othersOf = (conversation) => state.othersOf(conversation);
/** The other one of two; nobody in a group. */
export const partnerOf = (conversation) => state.partnerOf(conversation);
export const textOf = ({ deleted_at, message_body }) => (deleted_at ? t("message.deleted") : message_body);
export const countOf = ({ participant_count: count }) => (count === 1 ? t("people.only_you") : t("people.count", { count }));
export const titleOf = (conversation) =>
  conversation.title || othersOf(conversation).map(nameOf).join(", ") || countOf(conversation);
export const byActivity = () => state.byActivity();
export const openConversation = () => state.openConversation();
/** Whether the timeline's last message is the conversation's: new ones can be appended. */
export const isAtEnd = (timeline) => state.isAtEnd(timeline);
/** Who has read a message: those who were there when it came. */
export const readersOf = (conversation, seq) => state.readersOf(conversation, seq);

// --- Loading ---------------------------------------------------------------------

/** Load conversations: the first, or those at an address. */
export const loadConversations = (path) => state.loadConversations(path);
/** Search everything: the ids of conversations, people, and messages. */
export const searchAll = (text, isWanted) => state.searchAll(text, isWanted);
/** Open a conversation, or none: where reading stopped, or around the message `seq`. */
export const open = (id, seq) => state.open(id, seq);
/** Have the server know that I have read up to a message. */
export const markRead = (message) => state.markRead(message);
/** Have the server know that I have read all of a conversation. */
export const markAllRead = (conversation) => state.markAllRead(conversation);
/** Move the timeline on to older or newer messages, if that is wanted yet when they are there. */
export const extend = (isOlder, isWanted) => state.extend(isOlder, isWanted);

// --- Events ----------------------------------------------------------------------

export const types = Object.keys(state.handlers);
/** Change the state by one event; part of `inOrder`. */
export function handle(type, data) {
  notify("event", { type, data, conversation: state.conversations.get(data?.conversation_id) }); // the state is still as before
  return state.handle(type, data);
}
