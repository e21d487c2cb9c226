/** The messages of a timeline: what each looks like, and the lines between them. */
import { notify } from "./changes.js";
import { draftOf } from "./drafts.js";
import { avatar, item, set } from "./draw.js";
import { folding } from "./folding.js";
import { happenedIn, sentenceOf } from "./happened.js";
import { write } from "./markup.js";
import { aim, hasActions } from "./menus.js";
import { discard, retry, waitingIn } from "./outbox.js";
import * as s from "./store.js";
import { isMe, nameOf, shortNameOf, state } from "./store.js";
import { t } from "./texts.js";
import { clock, dayOf, exactly, isSameDay, timed } from "./times.js";

const TOGETHER = 5 * 60_000; // messages of one person so close in time are one group

/** What the timeline of a conversation shows. */
export function messageItems(conversation, timeline) {
  const { messages, firstNew } = timeline;
  const receipted = messages.findLast(({ sender, deleted_at }) => isMe(sender.user_id) && !deleted_at);
  const items = s.firstOf(timeline) === 1 ? [line("beginning", t("messages.beginning"))] : [];
  const happened = happenedIn(conversation);
  const since = messages[0]?.sent_at ?? "";
  messages.forEach((message, index) => {
    const before = messages[index - 1];
    const between = happened.filter(({ time }) => time < message.sent_at && time > (before?.sent_at ?? since));
    const isNewDay = !before || !isSameDay(before.sent_at, message.sent_at);
    const isNew = message.seq === firstNew;
    const isEarlier = ({ time }) => !isSameDay(time, message.sent_at);
    items.push(...between.filter(isEarlier).map(deedItem));
    if (isNewDay) items.push(line("day", dayOf(message.sent_at), message.seq));
    if (isNew) items.push(line("divider", t("messages.new"), message.seq));
    items.push(...between.filter((deed) => !isEarlier(deed)).map(deedItem));
    const isGrouped = !isNewDay && !isNew && !between.length && before.sender.user_id === message.sender.user_id &&
      new Date(message.sent_at) - new Date(before.sent_at) < TOGETHER;
    const note = message === receipted ? receiptOf(conversation, message.seq) : "";
    items.push(messageItem(timeline, message, note, isGrouped));
  });
  const isAtEnd = s.isAtEnd(timeline);
  const waiting = isAtEnd ? waitingIn(conversation) : [];
  const after = isAtEnd ? happened.filter(({ time }) => time > (messages.at(-1)?.sent_at ?? "")) : [];
  return [...items, ...after.map(deedItem), ...waiting.map((message) => messageItem(timeline, message, noteOf(message)))];
}

const line = (className, text, seq) => item(`${className} ${seq}`, "line", { ":scope": { className }, span: text });

const deedItem = (deed) =>
  item(`happened ${deed.event} ${deed.what}`, "line", {
    ":scope": { className: "happened", title: exactly(deed.time) },
    span: sentenceOf(deed),
  });

function receiptOf(conversation, seq) {
  const readers = s.readersOf(conversation, seq);
  if (!readers.length) return t("message.sent");
  if (conversation.participant_count === 2) return t("message.read");
  if (readers.length > 3) return t("message.read_by_count", { count: readers.length });
  return t("message.read_by", { names: readers.map(shortNameOf).join(", ") });
}

const noteOf = ({ reason }) =>
  reason ? t("message.not_sent", { reason }) : t(state.isLive ? "message.sending" : "message.waiting");

/** A message, or one on its way, which has no `seq` yet. */
function messageItem(timeline, message, note, isGrouped = false) {
  const { client_id, seq, sender, deleted_at, edited_at, sent_at, reason } = message;
  const isMine = isMe(sender.user_id);
  const condition = seq ? seq === timeline.target && "found" : reason ? "failed" : "waiting";
  const isBeingEdited = Boolean(seq) && draftOf(timeline.id).edit?.message_id === message.message_id;
  const kinds = ["message", isBeingEdited && "edits", isMine && "mine", isGrouped && "grouped", deleted_at && "deleted", condition];
  const folded = folding(message, s.textOf(message));
  const tabIndex = message === timeline.messages.at(-1) ? 0 : -1;
  return item(String(seq ?? client_id), "message", {
    ":scope": { className: kinds.filter(Boolean).join(" "), tabIndex },
    ".avatar": avatar(sender.user_id, nameOf(sender)),
    ".who bdi": isMine ? t("people.you") : nameOf(sender),
    ...folded,
    ".body": (body) => {
      write(body, s.textOf(message));
      folded[".body"](body);
    },
    ".edited": {
      hidden: !edited_at && !isBeingEdited,
      textContent: `${isBeingEdited ? t("message.being_edited") : t("message.edited")} `,
    },
    // To format a time takes long.
    time: (time) => time.dateTime === sent_at || set(time, { ":scope": timed(sent_at, clock(sent_at)) }),
    ".more": { hidden: !hasActions("message", message), onclick: ({ currentTarget }) => aim("message", message, currentTarget) },
    ".receipt": { hidden: !note },
    ".note": { textContent: note, disabled: !seq, onclick: () => notify("tell of message", message) },
    ".retry": { onclick: () => retry(message) },
    ".discard": { onclick: () => discard(message) },
  });
}
