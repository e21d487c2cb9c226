/**
 * Own messages on their way. Each has a client_id, so it can be sent again as often as
 * it takes and is stored once. They outlive a reload of the tab.
 */
import { call } from "./api.js";
import { changed, notices, state } from "./state.js";

const KEPT = "outbox";
let isPumping = false;
let wake = () => {};

/** Take up what an earlier page of this tab left behind. */
export function restore() {
  state.outbox = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]").filter((item) => item.sender === state.me.user_id);
  notices.addEventListener("outbox", keep);
  pump();
}

/** Show it at once, and send it as soon as what was written before is sent. */
export function send(conversation, body) {
  const item = { client_id: uuid(), sender: state.me.user_id, conversation, body, status: "waiting", written_at: new Date().toISOString() };
  state.outbox.push(item);
  keep();
  pump();
}

export function retry(item) {
  item.status = "waiting";
  keep();
  pump();
}

export function discard(item) {
  state.outbox = state.outbox.filter((other) => other !== item);
  keep();
}

/** Try now: the server is back. */
export const hurry = () => wake();

async function pump() {
  if (isPumping) return;
  isPumping = true;
  for (let item; (item = state.outbox.find(({ status }) => status === "waiting")); ) await post(item);
  isPumping = false;
}

async function post(item) {
  const { client_id, conversation, body } = item;
  try {
    const message = await call("POST", "messages/", { client_id, conversation, message_body: body });
    item.status = "sent";
    item.seq = message.seq; // shown until the event puts the message itself in place
  } catch (error) {
    if (error.isTemporary) await pause(error.retryAfter || 2);
    else Object.assign(item, { status: "failed", reason: error.message });
  }
  keep();
}

const pause = (seconds) =>
  new Promise((later) => {
    wake = later;
    setTimeout(later, seconds * 1000);
  });

function keep() {
  sessionStorage.setItem(KEPT, JSON.stringify(state.outbox.filter(({ status }) => status !== "sent")));
  changed();
}

/** A UUID of version 4; crypto.randomUUID is missing from pages over plain HTTP. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
