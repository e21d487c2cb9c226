/** Talks to the server: calls of its API with the session's cookie, and the stream of its events. */

/** What one part of the page tells the others: see each `notify`. */
export const notices = new EventTarget();
export const notify = (type, detail) => notices.dispatchEvent(new CustomEvent(type, { detail }));

// The same call may work later; after 401, once one has signed in again. Without an answer
// nobody knows whether the server did it: only what is harmless to do twice is called again.
const TEMPORARY = [0, 401, 429, 502, 503, 504];

/** The server said no, or nothing (status 0). `fields` are the messages of a form's fields, by name. */
class ApiError extends Error {
  constructor(status, body, retryAfter) {
    const { detail, code, non_field_errors: [text] = [], ...fields } = body ?? {};
    const unexplained = status ? `The server returned the error ${status}.` : "The server cannot be reached.";
    super(detail ?? text ?? Object.values(fields).flat()[0] ?? unexplained);
    Object.assign(this, { status, fields, retryAfter, isTemporary: TEMPORARY.includes(status) });
  }
}

// Under HTTPS the server may give the cookie the prefix that binds it to this host.
export const csrfToken = () => document.cookie.match(/(?:^|; )(?:__Host-)?csrftoken=(\w+)/)?.[1] ?? "";

/** Call `api/PATH` below the page, or the address of a next page; return what it answers, or raise an ApiError. */
export async function call(method, path, body) {
  const response = await fetch(`api/${path.split("/api/").at(-1)}`, {
    method,
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  }).catch(() => Promise.reject(new ApiError(0)));
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null); // null: cut short, or a proxy's page
  if (response.ok && answer) return answer;
  if (response.status === 401 && path !== "auth/login/") notify("signed out");
  throw new ApiError(response.ok ? 0 : response.status, answer, Number(response.headers.get("Retry-After")));
}

/** Read a list or a thing: `get("messages/", {search: "tea"})`. */
export const get = (path, parameters = {}) => call("GET", `${path}?${new URLSearchParams(parameters)}`);

const ENOUGH = 20; // results
const FAR_ENOUGH = 20; // pages

/**
 * Search a list, as long as that is wanted. A page may have few results or none, and yet
 * a next one: then there is much to look through. With `next` not all of it was.
 */
export async function search(path, text, isWanted) {
  let page = await get(path, { ...(text && { search: text }), page_size: ENOUGH }); // an empty filter is refused
  const results = page.results;
  for (let pages = 1; page.next && results.length < ENOUGH && pages < FAR_ENOUGH && isWanted(); pages += 1) {
    page = await call("GET", page.next);
    results.push(...page.results);
  }
  return { results, next: page.next };
}

let work = Promise.resolve();
/** Do one thing after the other: what is loaded and what has happened never mix. */
export function inOrder(task) {
  const done = work.then(task);
  work = done.catch(() => {}).finally(changed);
  return done;
}

let drawing;
/** Have what is shown drawn again: once, for many changes. */
export function changed() {
  clearTimeout(drawing);
  drawing = setTimeout(() => notify("change"));
}

export const pause = (milliseconds) => new Promise((later) => setTimeout(later, milliseconds));

// --- The stream ------------------------------------------------------------------

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
