/**
 * Follows GET /api/events/ as docs/events.md says: take the cursor, load, follow.
 *
 * One tab of all that are open holds the stream, the one with the lock, and passes
 * each event on: browsers allow six connections to a server of HTTP/1.1. When it is
 * closed, another gets the lock and goes on from its own cursor.
 */
import { call, get } from "./api.js";

const STORED = ["message.created", "message.updated", "message.deleted", "conversation.created",
  "conversation.updated", "conversation.deleted", "participant.added", "participant.removed", "read.updated"];
const TYPES = [...STORED, "reset", "typing", "presence"];
const PAUSE = 2_000; // milliseconds before a stream that was refused is opened again
const TICK = 5_000;
const ASLEEP = 90_000; // without a tick for so long, the machine slept: connections may be dead

let work = Promise.resolve();
/** Do one thing after the other: what is loaded and what has happened never mix. */
export function inOrder(task) {
  const done = work.then(task);
  work = done.catch(() => {});
  return done;
}

const pause = (milliseconds) => new Promise((later) => setTimeout(later, milliseconds));

export class Stream {
  /** `load()` loads what is shown, `handle(type, data)` changes it, `status(isLive)` tells. */
  constructor(userId, { load, handle, status }) {
    Object.assign(this, { userId, load, handle, status, cursor: "", isOver: false });
    this.name = `events of ${userId}`;
    this.ending = new AbortController();
    this.channel = new BroadcastChannel(this.name);
    this.channel.onmessage = ({ data }) => this.receive(data);
  }

  async start() {
    await inOrder(() => this.begin());
    // Only pages over HTTPS and on localhost have locks; elsewhere each tab leads.
    if (!navigator.locks) return this.lead();
    const { signal } = this.ending;
    const untilTheEnd = new Promise((end) => signal.addEventListener("abort", end));
    navigator.locks.request(this.name, { signal }, () => this.lead() ?? untilTheEnd).catch(() => {});
  }

  stop() {
    this.isOver = true;
    this.ending.abort();
    this.source?.close();
    clearInterval(this.ticking);
    removeEventListener("online", this.reopen);
    this.channel.close();
  }

  /** Take the cursor, then load: what happens meanwhile comes as events after it. */
  async begin() {
    while (!this.isOver) {
      try {
        const { cursor } = await get("events/");
        await this.load();
        this.cursor = cursor;
        return this.status(true);
      } catch (error) {
        this.status(false);
        await pause(error.retryAfter * 1000 || PAUSE);
      }
    }
  }

  lead() {
    if (this.isOver) return;
    this.reopen = () => this.open();
    addEventListener("online", this.reopen);
    let ticked = Date.now();
    this.ticking = setInterval(() => {
      if (Date.now() - ticked > ASLEEP) this.open();
      ticked = Date.now();
    }, TICK);
    this.open();
  }

  open() {
    this.source?.close();
    if (this.isOver) return;
    const source = new EventSource(`/api/events/?after=${encodeURIComponent(this.cursor)}`);
    this.source = source;
    for (const type of TYPES) {
      source.addEventListener(type, (event) => this.share({ type, id: event.lastEventId, data: JSON.parse(event.data) }));
    }
    source.onopen = () => this.share({ type: "live" });
    source.onerror = () => {
      this.share({ type: "away" });
      // It comes back by itself and resumes; but not after another answer than 200.
      if (source.readyState === EventSource.CLOSED) this.comeBack();
    };
  }

  /** Open anew after a refusal, unless the session is over, which the call finds out. */
  async comeBack() {
    await pause(PAUSE);
    if (this.isOver) return;
    const me = await call("GET", "users/me/").catch(() => null);
    // Somebody else signed in on this browser meanwhile: none of this page is theirs.
    if (me && me.user_id !== this.userId) {
      sessionStorage.clear();
      location.reload();
      return;
    }
    this.open();
  }

  share(event) {
    if (this.isOver) return;
    this.channel.postMessage(event);
    this.receive(event);
  }

  receive({ type, id, data }) {
    if (type === "live" || type === "away") return this.status(type === "live");
    inOrder(async () => {
      if (this.isOver) return;
      if (type === "reset") return this.begin();
      try {
        await this.handle(type, data);
        if (id) this.cursor = id;
      } catch {
        await this.begin(); // what it needed could not be loaded: load all anew
      }
    });
  }
}
