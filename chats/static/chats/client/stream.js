/** The stream of events, which all tabs share. */
import { call } from "./api.js";
import { inOrder, pause } from "./changes.js";

const PAUSE = 2_000; // milliseconds before what has failed is tried again
const TICK = 5_000;
const SILENCE = 40_000; // milliseconds without an event, where a ping comes every 15 seconds: the connection is dead

/**
 * Follows GET /api/events/ as docs/events.md says: open it, load at its `ready`, follow.
 *
 * One tab of all that are open holds the stream, the one with the lock, and passes
 * each event on: browsers allow six connections to a server of HTTP/1.1. When it is
 * closed, another gets the lock and goes on from its own cursor.
 */
export class Stream {
  /** `handle(type, data)` does what an event of these types asks for, `status(isLive)` tells. */
  constructor(userId, { types, handle, status }) {
    Object.assign(this, { userId, types, handle, status, cursor: "", name: `events of ${userId}` });
    this.channel = new BroadcastChannel(this.name);
    this.channel.onmessage = ({ data }) => this.receive(data);
  }

  async start() {
    // Only pages over HTTPS and on localhost have locks; elsewhere each tab leads.
    if (!navigator.locks) return this.lead();
    const { held } = await navigator.locks.query();
    if (held.some(({ name }) => name === this.name)) this.receive({ type: "ready" });
    navigator.locks.request(this.name, () => this.lead());
  }

  /** Hold the stream until the page is left: this has no end. */
  lead() {
    setInterval(() => this.watch(), TICK);
    addEventListener("online", () => this.open());
    // Where no stream gets through, there is a page all the same.
    setTimeout(() => inOrder(() => this.cursor || this.act("ready")), PAUSE);
    this.open();
    return new Promise(() => {});
  }

  /** Notice a server that is frozen, a network that is gone, a machine that slept: nothing else tells of them. */
  watch() {
    if (Date.now() - this.heardAt < SILENCE) return;
    this.share({ type: "away" });
    this.open();
  }

  open() {
    this.source?.close();
    this.heardAt = Date.now();
    const after = this.cursor ? `?after=${encodeURIComponent(this.cursor)}` : "";
    const source = new EventSource(`api/events/${after}`);
    this.source = source;
    for (const type of this.types) {
      source.addEventListener(type, ({ lastEventId: id, data }) => this.hear({ type, id, data: JSON.parse(data) }));
    }
    source.addEventListener("ping", () => (this.heardAt = Date.now()));
    source.onopen = () => this.hear({ type: "live" });
    source.onerror = async () => {
      this.share({ type: "away" });
      // It comes back by itself and resumes; but not after another answer than 200.
      if (source.readyState !== EventSource.CLOSED) return;
      const me = await call("GET", "users/me/").catch(() => null); // finds out if the session is over
      // Somebody else signed in on this browser meanwhile: none of this page is theirs.
      if (me && me.user_id !== this.userId) return location.reload();
      await pause(PAUSE);
      if (source === this.source) this.open();
    };
  }

  hear(event) {
    this.heardAt = Date.now();
    this.share(event);
  }

  share(event) {
    this.channel.postMessage(event);
    this.receive(event);
  }

  receive({ type, id, data }) {
    if (type === "live" || type === "away") return this.status(type === "live");
    inOrder(async () => {
      await this.act(type, data);
      if (id) this.cursor = id;
    });
  }

  /** Handle an event; if that fails, load all anew until it works. What happens meanwhile is handled after it. */
  async act(type, data) {
    try {
      await this.handle(type, data);
    } catch ({ retryAfter }) {
      await pause(retryAfter * 1000 || PAUSE);
      await this.act("reset");
    }
  }
}
