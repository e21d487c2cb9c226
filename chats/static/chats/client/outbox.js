/** Own messages on their way. They outlive a reload of the tab, and a session that ends by itself. */
import { api } from "./api.js";
import { changed, on } from "./changes.js";
import { Outbox, uuid as newId } from "./library/outbox.js";
import { store, stored } from "./storage.js";
import { state } from "./store.js";

const outbox = new Outbox(api, {
  store: state,
  storage: { read: () => stored("outbox"), write: (items) => store("outbox", items) },
});
outbox.on("change", changed);
on("begin", () => outbox.start());
on("forget", () => outbox.stop()); // what is being sent may fail yet, and would be kept
on("live", () => outbox.wake());

export const uuid = newId;
export const waitingIn = ({ conversation_id: id }) => outbox.waitingIn(id);
/** Show it at once, and send it as soon as what was written before is sent. */
export const send = (conversation, message_body) => outbox.send({ conversation, message_body });
export const retry = (item) => outbox.retry(item);
export const discard = (item) => outbox.discard(item);
