/**
 * Own messages on their way. Each has a client_id, so it can be sent again as often as it
 * takes and is stored once.
 */
import { Notices } from "./notices.js";
import { backOff, Rest, serially } from "./timing.js";

const FIRST_WAIT = 1_000; // milliseconds before what failed is sent again
const LONGEST_WAIT = 5_000; // before the random part is added

/** What a storage does that keeps nothing. */
const NOWHERE = { read: () => [], write: () => {} };

/** A UUID of version 4; crypto.randomUUID is missing from pages over plain HTTP. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})/, "$1-$2-4$3-8$4-");
}

/**
 * Sends messages in the order in which they were written, each until it is stored or refused.
 *
 * `storage` has `read()`, which returns the items that were written last, and `write(items)`;
 * both may return a promise. With it, messages outlive the program. Notices: `change`, whenever
 * `items` has; `stored` with a message that the server has; `refused` with `{ item, error }`.
 */
export class Outbox extends Notices {
  items = []; // {client_id, sender, sent_at, reason} and what is sent; `reason` says why it was refused
  #api;
  #store;
  #storage;
  #run = null; // an object while it is started
  #sending = serially();
  #writing = serially();
  #rest = new Rest();

  /** A `store`, if there is one, has what was stored at once, and tells of what needs no sending any more. */
  constructor(api, { store = null, storage = NOWHERE } = {}) {
    super();
    this.#api = api;
    this.#store = store;
    this.#storage = storage;
    store?.on("own message", (message) => this.discard(message));
    store?.on("dropped", (id) => this.#keep(this.items.filter(({ conversation }) => conversation !== id)));
  }

  /** Send what was left when the program ended, or it was stopped, and what has been written since. */
  async start() {
    const run = (this.#run = {});
    const left = await this.#storage.read();
    if (run !== this.#run) return;
    const newer = this.items.filter((item) => !left.some(({ client_id }) => client_id === item.client_id));
    this.#keep([...left, ...newer]);
    this.items.forEach((item) => this.#enqueue(item));
  }

  /** Send and write nothing any more. */
  stop() {
    this.#run = null;
    this.#rest.end();
  }

  /** Try again at once, as when the network is back or somebody has signed in again. */
  wake() {
    this.#rest.end();
  }

  waitingIn(conversationId) {
    return this.items.filter(({ conversation }) => conversation === conversationId);
  }

  /** Send a message, once those before it are sent: `send({ conversation, message_body })`. Returns its item. */
  send(message) {
    const sender = this.#store?.me ?? null;
    return this.retry({ ...message, client_id: uuid(), sender, sent_at: new Date().toISOString() });
  }

  /** Send what was refused again, as the last. */
  retry(item) {
    const again = { ...item, reason: "" };
    this.#keep([...this.#without(item), again]);
    this.#enqueue(again);
    return again;
  }

  discard(item) {
    const rest = this.#without(item);
    if (rest.length < this.items.length) this.#keep(rest);
  }

  #without({ client_id }) {
    return this.items.filter((item) => item.client_id !== client_id);
  }

  #keep(items) {
    this.items = items;
    if (this.#run) this.#writing(() => this.#storage.write(items)).catch((error) => this.notify("failed", error));
    this.notify("change");
  }

  #enqueue(item) {
    const run = this.#run;
    if (run) this.#sending(() => this.#post(item, run));
  }

  /** Send it until it is stored or refused, or not wanted any more. */
  async #post(item, run) {
    const { sender, sent_at, reason, ...body } = item;
    for (let failures = 0; !reason && run === this.#run && this.items.includes(item); failures += 1) {
      try {
        return await this.#stored(await this.#api.call("POST", "messages/", body));
      } catch (error) {
        if (error.isTemporary) await this.#pause(error, failures);
        else this.#refuse(item, error);
      }
    }
  }

  /** Nothing is tried with credentials that are not valid: somebody has to wake it. */
  #pause({ status, retryAfter }, failures) {
    if (status === 401) return this.#rest.for(Infinity);
    return this.#rest.for(Math.max(retryAfter * 1000, backOff(FIRST_WAIT, failures, LONGEST_WAIT)));
  }

  /** The event says the same, but perhaps later; and if the store cannot take it, that will. */
  async #stored(message) {
    const data = { conversation_id: message.conversation, message };
    await this.#store?.inOrder(() => this.#store.handle("message.created", data)).catch(() => {});
    this.discard(message);
    this.notify("stored", message);
  }

  #refuse(item, error) {
    this.#keep(this.items.map((other) => (other === item ? { ...item, reason: error.message } : other)));
    this.notify("refused", { item, error });
  }
}
