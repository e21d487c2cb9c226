/** Follows the events, over every connection that breaks. */
import { ApiError } from "./api.js";
import { Frames } from "./frames.js";
import { Notices } from "./notices.js";
import { backOff, pause, Rest, serially } from "./timing.js";

const SILENCE = 40_000; // milliseconds without a byte, where a ping comes every 15 seconds: the connection is dead
const TICK = 5_000; // a machine that slept, and its timers with it, finds that out as soon
const FIRST_WAIT = 1_000; // milliseconds before the first new attempt, until the server says another time
const LONGEST_WAIT = 5_000; // before the random part is added

/**
 * Reads GET events/ by `fetch`, which can send a token, unlike EventSource.
 *
 * Each event is given to `target.handle(type, data)`, one after the other; if that fails, the
 * type `reset` is, which has everything loaded anew, until it works. Other changes of what is
 * handled go through `target.inOrder(task)`, if there is one.
 *
 * Notices: `status` with `{ isLive, error }`, whenever the stream is there or is not; `event` with
 * `{ type, id, data }`, as one arrives, before it is handled; `refused` with the ApiError after
 * which it has stopped, as when the token is not valid any more; `failed` with what a handler threw.
 */
export class Stream extends Notices {
  cursor; // behind the last event that was handled: what a client that goes on later begins with
  isLive = false;
  #api;
  #target;
  #inOrder;
  #received; // the last cursor that came: what a new connection begins with
  #run = null; // an object while it is started
  #connection = null;
  #rest = new Rest();
  #retry = FIRST_WAIT;
  #failures = 0;
  #isHurried = false; // the next attempt does not wait
  #isStopped = false;

  constructor(api, target, { cursor = "" } = {}) {
    super();
    this.#api = api;
    this.#target = target;
    this.#inOrder = target.inOrder ?? serially();
    this.cursor = this.#received = cursor;
  }

  start() {
    this.#isStopped = false;
    if (!this.#run) this.#keepOpen((this.#run = {}));
  }

  /** Close the stream. What has arrived is handled yet; it is not tried again. */
  stop() {
    this.#isStopped = true;
    this.#run = null;
    this.#connection?.abort();
    this.#rest.end();
    this.#tell(false);
  }

  /** Connect at once, as when the network is back: do not wait, and trust no connection that is open. */
  wake() {
    this.#isHurried = true;
    this.#failures = 0;
    this.#connection?.abort();
    this.#rest.end();
  }

  /** Take an event, from the connection or by another way, such as from another tab. */
  receive({ type, id, data }) {
    if (id) this.#received = id;
    return this.#inOrder(async () => {
      if (data !== undefined) await this.#handle(type, data);
      if (id) this.cursor = id;
    });
  }

  async #handle(type, data) {
    try {
      await this.#target.handle(type, data);
    } catch (error) {
      this.notify("failed", error);
      await pause(error?.retryAfter * 1000 || 2_000);
      if (!this.#isStopped) await this.#handle("reset", {});
    }
  }

  #tell(isLive, error = null) {
    this.isLive = isLive;
    this.notify("status", { isLive, error });
  }

  async #keepOpen(run) {
    while (run === this.#run) {
      this.#isHurried = false;
      const error = await this.#follow(run).then(() => null, (reason) => reason);
      if (run !== this.#run) return;
      if (this.#isRefused(error)) {
        this.#run = null;
        this.#tell(false, error);
        return this.notify("refused", error);
      }
      this.#tell(false, error);
      if (!this.#isHurried) await this.#rest.for(this.#waitAfter(error));
    }
  }

  /** Whether it is of no use to come back. A cursor that the server cannot read is: it is given up, and all is loaded. */
  #isRefused(error) {
    if (!(error instanceof ApiError) || error.status < 400 || error.status >= 500) return false;
    if ([408, 429].includes(error.status)) return false;
    if (![400, 410].includes(error.status) || !this.#received) return true;
    this.#received = "";
    this.#isHurried = true;
    return false;
  }

  /** The server says how long to wait at the end of a stream; after anything else one comes back ever more slowly. */
  #waitAfter(error) {
    if (!error) return this.#retry;
    const wait = backOff(this.#retry, this.#failures, Math.max(LONGEST_WAIT, this.#retry));
    this.#failures += 1;
    return Math.max(wait, (error.retryAfter ?? 0) * 1000);
  }

  /** Open the stream and read it to its end; an error if it broke off. */
  async #follow(run) {
    const connection = (this.#connection = new AbortController());
    const { signal } = connection;
    let heardAt = Date.now();
    const watchdog = setInterval(() => Date.now() - heardAt >= SILENCE && this.wake(), TICK);
    try {
      const reader = await this.#open(signal);
      signal.addEventListener("abort", () => reader.cancel().catch(() => {})); // where the fetch does not see to it
      const frames = new Frames();
      for (let isAtEnd = false; ; ) {
        const { done, value } = await reader.read();
        if (run !== this.#run || signal.aborted) return;
        if (done && !isAtEnd) throw new Error("The connection broke off.");
        if (done) return;
        heardAt = Date.now();
        for (const frame of frames.push(value)) isAtEnd = this.#take(frame);
      }
    } finally {
      clearInterval(watchdog);
      connection.abort();
    }
  }

  async #open(signal) {
    const path = this.#received ? `events/?after=${encodeURIComponent(this.#received)}` : "events/";
    const response = await this.#api.request("GET", path, { signal, headers: { Accept: "text/event-stream" } });
    const isStream = response.ok && response.headers.get("Content-Type")?.startsWith("text/event-stream");
    if (!isStream) throw await this.#api.errorOf(response);
    if (!response.body?.getReader) throw new Error("This fetch does not stream: give the Api one that does.");
    return response.body.getReader();
  }

  /** Take a block; true if it is the last one, after which the server ends the stream. */
  #take({ type, id, data, retry }) {
    if (retry !== undefined) this.#retry = retry;
    if (type === "end") return true;
    this.#failures = 0;
    if (!this.isLive) this.#tell(true);
    const event = { type, id, data: data && type !== "ping" ? JSON.parse(data) : undefined };
    if (event.data === undefined && !id) return false; // a heartbeat
    this.notify("event", event);
    this.receive(event);
    return false;
  }
}
