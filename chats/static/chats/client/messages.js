/** What the list of messages consists of: days, the line above what is new, messages. */
import { call } from "./api.js";
import { attempt, avatar, bdi, clock, dayOf, h, iconButton, isSameDay, linked, timeTag } from "./dom.js";
import { discard, retry } from "./outbox.js";
import { firstOf, isAtEnd, isMe, lastOf, nameOf, othersOf, state, waitingIn } from "./state.js";

const TOGETHER = 5 * 60_000; // messages of one person so close in time are one group

/** The items of a window on a room, for `reconcile`. */
export function messageItems(conversation, { room, from, to }, actions) {
  const at = (seq) => room.messages[seq - firstOf(room)];
  const isWhole = to === lastOf(room) && isAtEnd(room);
  const own = room.messages.findLast((message) => isMe(message.sender.user_id) && !message.deleted_at);
  const items = from === 1 ? [beginning(conversation)] : [];
  for (let seq = from; seq <= to; seq++) {
    const message = at(seq), before = at(seq - 1);
    const isNewDay = !before || !isSameDay(before.sent_at, message.sent_at);
    const isNew = room.newAfter !== null && seq === room.newAfter + 1;
    if (isNewDay) items.push(separator("day", dayOf(message.sent_at), message));
    if (isNew) items.push(separator("divider", "New messages", message));
    const isGrouped = !isNewDay && !isNew && before.sender.user_id === message.sender.user_id &&
      new Date(message.sent_at) - new Date(before.sent_at) < TOGETHER;
    const receipt = message === own ? receiptOf(conversation, seq) : "";
    const mayDelete = !message.deleted_at && (isMe(message.sender.user_id) || isMe(conversation.owner));
    items.push(messageItem(message, { isGrouped, receipt, mayDelete, isStop: seq === to, actions }));
  }
  return isWhole ? [...items, ...waitingIn(conversation).map(waitingItem)] : items;
}

function beginning(conversation) {
  const text = `This is the beginning of the conversation${conversation.last_seq ? "" : ". Say hello!"}`;
  return { key: "beginning", from: [text], build: () => h("li", { class: "beginning" }, text) };
}

function separator(kind, text, { message_id }) {
  const build = () => h("li", { class: kind }, h("span", {}, text));
  return { key: `${kind} ${message_id}`, from: [text], build };
}

/** Who of the others has read up to there. */
function receiptOf(conversation, seq) {
  const readers = othersOf(conversation).filter((person) => conversation.read.get(person.user_id) >= seq);
  if (!readers.length) return "Sent";
  if (conversation.participant_count === 2) return "Read";
  if (readers.length === conversation.participant_count - 1) return "Read by everybody";
  const names = readers.slice(0, 3).map((person) => person.first_name || person.username).join(", ");
  return `Read by ${names}${readers.length > 3 ? ` and ${readers.length - 3} more` : ""}`;
}

function messageItem(message, { isGrouped, receipt, mayDelete, isStop, actions }) {
  const { message_id, client_id, seq, sender, deleted_at, edited_at, sent_at } = message;
  const isMine = isMe(sender.user_id);
  const name = nameOf(sender);
  const key = isMine && client_id ? client_id : message_id;
  const build = () =>
    h("li", { class: classes({ message: true, mine: isMine, grouped: isGrouped, deleted: deleted_at }), tabindex: isStop ? "0" : "-1", "data-seq": seq, "data-key": key },
      !isMine && avatar(sender.user_id, name),
      h("div", { class: "bubble" },
        h("p", { class: isGrouped || isMine ? "who unseen" : "who" }, isMine ? "You" : bdi(name)),
        h("p", { class: "body", dir: "auto" }, deleted_at ? "Message deleted" : linked(message.message_body)),
        h("p", { class: "meta" }, edited_at && !deleted_at && "edited ", timeTag(sent_at, clock(sent_at)))),
      h("div", { class: "actions" },
        isMine && !deleted_at && iconButton("edit", "Edit message", () => actions.edit(message)),
        mayDelete && iconButton("trash", "Delete message", () => remove(message))),
      receipt && h("p", { class: "receipt" }, receipt));
  return { key, from: [message, isGrouped, receipt, mayDelete, isStop], build };
}

function waitingItem(item) {
  const hasFailed = item.status === "failed";
  const note = hasFailed ? `Not sent: ${item.reason}` : state.isLive ? "Sending…" : "Waiting for a connection…";
  const build = () =>
    h("li", { class: classes({ message: true, mine: true, waiting: true, failed: hasFailed }), tabindex: "-1", "data-key": item.client_id },
      h("div", { class: "bubble" },
        h("p", { class: "who unseen" }, "You"),
        h("p", { class: "body", dir: "auto" }, linked(item.body)),
        h("p", { class: "meta" }, timeTag(item.written_at, clock(item.written_at)))),
      h("p", { class: "receipt" }, note,
        hasFailed && h("button", { type: "button", class: "link", onclick: () => retry(item) }, "Retry"),
        hasFailed && h("button", { type: "button", class: "link", onclick: () => discard(item) }, "Discard")));
  return { key: item.client_id, from: [item, note], build };
}

const classes = (which) => Object.keys(which).filter((name) => which[name]).join(" ");

async function remove({ message_id }) {
  const { confirm } = await import("./dialogs.js");
  if (await confirm("Delete this message for everybody?", "Delete")) attempt(() => call("DELETE", `messages/${message_id}/`));
}
