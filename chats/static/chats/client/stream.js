/** The stream of events, which all tabs share. */
import { api, call } from "./api.js";
import { inOrder, notify, pause } from "./changes.js";
import { Stream as Following } from "./library/stream.js";

const PAUSE = 2_000; // milliseconds before what has failed is tried again

/**
 * One tab of all that are open holds the stream, the one with the lock, and passes
 * each event on: browsers allow six connections to a server of HTTP/1.1. When it is
 * closed, another gets the lock and goes on from its own cursor.
 */
export class Stream {
  /** `handle(type, data)` does what an event asks for, `status(isLive)` tells. */
  constructor(userId, { handle, status }) {
    Object.assign(this, { userId, status, name: `events of ${userId}` });
    this.stream = new Following(api, { handle, inOrder });
    this.channel = new BroadcastChannel(this.name);
    this.channel.onmessage = ({ data }) => this.hear(data);
    this.stream.on("event", (event) => this.channel.postMessage(event));
    this.stream.on("status", ({ isLive, error }) => this.share(isLive, error));
    this.stream.on("refused", () => pause(PAUSE).then(() => this.stream.start()));
  }

  async start() {
    // Only pages over HTTPS and on localhost have locks; elsewhere each tab leads.
    if (!navigator.locks) return this.lead();
    const { held } = await navigator.locks.query();
    if (held.some(({ name }) => name === this.name)) this.stream.receive({ type: "ready", data: {} });
    navigator.locks.request(this.name, () => this.lead());
  }

  /** Hold the stream until the page is left: this has no end. */
  lead() {
    addEventListener("online", () => this.stream.wake());
    // Where no stream gets through, there is a page all the same.
    setTimeout(() => this.stream.isLive || this.stream.cursor || this.stream.receive({ type: "ready", data: {} }), PAUSE);
    this.stream.start();
    return new Promise(() => {});
  }

  /** What the tab that leads passes on. */
  hear(event) {
    if (event.type === "status") this.tell(event.isLive);
    else this.stream.receive(event);
  }

  share(isLive, error) {
    this.channel.postMessage({ type: "status", isLive });
    this.tell(isLive);
    if (error?.status) this.checkOwner();
  }

  tell(isLive) {
    this.status(isLive);
    if (isLive) notify("live");
  }

  /** Somebody else may have signed in on this browser meanwhile: none of this page is theirs. */
  async checkOwner() {
    const me = await call("GET", "users/me/").catch(() => null); // finds out if the session is over
    if (me && me.user_id !== this.userId) location.reload();
  }
}
