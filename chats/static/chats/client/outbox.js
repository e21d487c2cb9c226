/**
 * Own messages on their way. Each has a client_id, so it can be sent again as often as it
 * takes and is stored once. They outlive a reload of the tab, and a session that ends by
 * itself.
 */
import { call } from "./api.js";
import { changed, inOrder, on, pause } from "./changes.js";
import { handle, state } from "./store.js";
import { store, stored } from "./storage.js";

let outbox = []; // messages that the server is not known to have; with a `reason` if it refused them

export const waitingIn = ({ conversation_id: id }) => outbox.filter((item) => item.conversation === id);

function keep(items) {
  outbox = items;
  store("outbox", outbox);
  changed();
}

on("begin", () => {
  keep(stored("outbox"));
  outbox.forEach(enqueue);
});
on("forget", () => (outbox = [])); // what is being sent may fail yet, and would be kept
on("dropped", (id) => keep(outbox.filter((item) => item.conversation !== id)));
on("own message", (message) => discard(message));

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
const without = ({ client_id }) => outbox.filter((item) => item.client_id !== client_id);

let sending = Promise.resolve();
const enqueue = (item) => (sending = sending.then(() => post(item)));

/** Send it until it is stored or refused, or not wanted any more. */
async function post(item) {
  const { client_id, conversation, message_body } = item;
  while (!item.reason && outbox.includes(item)) {
    try {
      const message = await call("POST", "messages/", { client_id, conversation, message_body });
      // The event says the same, but perhaps later.
      await inOrder(() => handle("message.created", { conversation_id: conversation, message }));
      discard(item);
    } catch (error) {
      if (error.isTemporary) await pause((error.retryAfter || 2) * 1000);
      else keep(outbox.map((other) => (other === item ? { ...item, reason: error.message } : other)));
    }
  }
}

/** A UUID of version 4; crypto.randomUUID is missing from pages over plain HTTP. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})/, "$1-$2-4$3-8$4-");
}
