/** Calls the API, with an access token or with the session's cookie. */
import { Notices } from "./notices.js";

// The same call may work later; after 401, once one has signed in again. Without an answer
// nobody knows whether the server did it: only what is harmless to do twice is called again.
const TEMPORARY = [0, 401, 408, 429, 502, 503, 504];
const PAGES = 20; // that a search looks through
const ENOUGH = 20; // results of a search

/** What is said where the server gave no reason; somebody else's texts may take their place. */
const TEXTS = {
  unexpected: (status) => `The server returned the error ${status}.`,
  unreachable: () => "The server cannot be reached.",
};

/**
 * The server said no, or nothing (status 0). `code` is the reason for programs, `fields` are
 * the messages of a form's fields, by name; `retryAfter` is in seconds, 0 if it is not said.
 */
export class ApiError extends Error {
  constructor(status, body, { retryAfter = 0, texts = TEXTS } = {}) {
    const { detail, code = "", non_field_errors: [text] = [], ...fields } = body ?? {};
    const unexplained = status ? texts.unexpected(status) : texts.unreachable();
    super(detail ?? text ?? Object.values(fields).flat()[0] ?? unexplained);
    Object.assign(this, { name: "ApiError", status, code, fields, retryAfter });
    this.isTemporary = TEMPORARY.includes(status);
  }
}

/** The CSRF token in the page's cookies. Under HTTPS the cookie's name may have the prefix that binds it to the host. */
export const csrfToken = () =>
  globalThis.document?.cookie.match(/(?:^|; )(?:__Host-)?csrftoken=(\w+)/)?.[1] ?? "";

/**
 * The API at an address such as `https://example.org/api/`. It notifies of `signed out`, with
 * the error, when a call is 401; not where the credentials in the call itself were wrong.
 */
export class Api extends Notices {
  /** Without a token, calls are made with the cookie of the session, and what writes with the token of `csrf()`. */
  constructor(url, { token = "", csrf = csrfToken, timeout = 20_000, texts = {}, fetch } = {}) {
    super();
    Object.assign(this, { url: url.replace(/\/?$/, "/"), token, csrf, timeout, texts: { ...TEXTS, ...texts } });
    this.fetch = fetch ?? ((...call) => globalThis.fetch(...call));
  }

  /** Call `PATH` below the API, or the address of a next page; return its answer, null if it has none, or throw an ApiError. */
  async call(method, path, body) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), this.timeout);
    try {
      const response = await this.request(method, path, { body, signal: limit.signal });
      if (response.status === 204) return null;
      const answer = response.ok ? await response.json().catch(() => null) : null;
      if (answer === null) throw await this.errorOf(response); // cut short, or a proxy's page
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Make a call and return the Response, whatever it is; throw an ApiError where there is none. */
  async request(method, path, { body, signal, headers = {} } = {}) {
    const sent = { Accept: "application/json", ...headers };
    if (body !== undefined) sent["Content-Type"] = "application/json";
    if (this.token) sent.Authorization = `Bearer ${this.token}`;
    else if (method !== "GET") sent["X-CSRFToken"] = this.csrf();
    const credentials = this.token ? "omit" : "include";
    const call = { method, signal, credentials, headers: sent, body: body === undefined ? body : JSON.stringify(body) };
    try {
      return await this.fetch(this.url + path.replace(/^[^?]*\/api\//, ""), call);
    } catch {
      throw this.#error(0);
    }
  }

  /** Return the error that a Response is; what claims to be fine and cannot be read is no answer. */
  async errorOf(response) {
    if (response.ok) return this.#error(0);
    const body = await response.json().catch(() => null);
    const error = this.#error(response.status, body, Number(response.headers.get("Retry-After")) || 0);
    if (error.status === 401 && error.code !== "wrong_credentials") this.notify("signed out", error);
    return error;
  }

  #error(status, body = null, retryAfter = 0) {
    return new ApiError(status, body, { retryAfter, texts: this.texts });
  }

  /** Get an access token by a username, or an e-mail address, and a password; call with it from now on, and return it. */
  async obtainToken({ name = "JavaScript", ...credentials }) {
    this.token = "";
    const { token } = await this.call("POST", "auth/tokens/", { name, ...credentials });
    this.token = token;
    return token;
  }

  /** Read a list or a thing: `get("messages/", { search: "tea" })`. */
  get(path, parameters = {}) {
    const query = String(new URLSearchParams(parameters));
    return this.call("GET", query ? `${path}?${query}` : path);
  }

  /** Read a whole list, page by page: `for await (const person of api.all("users/"))`. */
  async *all(path, parameters = {}) {
    let page = await this.get(path, parameters);
    yield* page.results;
    while (page.next) {
      page = await this.call("GET", page.next);
      yield* page.results;
    }
  }

  /**
   * Search a list, as long as that is wanted. A page may have few results or none, and yet
   * a next one: then there is much to look through. With `next` not all of it was.
   */
  async search(path, text, isWanted = () => true) {
    let page = await this.get(path, { ...(text && { search: text }), page_size: ENOUGH }); // an empty filter is refused
    const results = [...page.results];
    for (let pages = 1; page.next && results.length < ENOUGH && pages < PAGES && isWanted(); pages += 1) {
      page = await this.call("GET", page.next);
      results.push(...page.results);
    }
    return { results, next: page.next };
  }
}
