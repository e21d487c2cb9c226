/** Calls the API with the session's cookie. */
import { notify } from "./changes.js";
import { t } from "./texts.js";

// The same call may work later; after 401, once one has signed in again. Without an answer
// nobody knows whether the server did it: only what is harmless to do twice is called again.
const TEMPORARY = [0, 401, 429, 502, 503, 504];

/** The server said no, or nothing (status 0). `fields` are the messages of a form's fields, by name. */
class ApiError extends Error {
  constructor(status, body, retryAfter) {
    const { detail, code, non_field_errors: [text] = [], ...fields } = body ?? {};
    const unexplained = t(status ? "errors.unexpected" : "errors.unreachable", { status });
    super(detail ?? text ?? Object.values(fields).flat()[0] ?? unexplained);
    Object.assign(this, { status, fields, retryAfter, isTemporary: TEMPORARY.includes(status) });
  }
}

// Under HTTPS the server may give the cookie the prefix that binds it to this host.
export const csrfToken = () => document.cookie.match(/(?:^|; )(?:__Host-)?csrftoken=(\w+)/)?.[1] ?? "";

/** Call `api/PATH` below the page, or the address of a next page; return what it answers, or raise an ApiError. */
export async function call(method, path, body) {
  const response = await ask(path, { method, body: JSON.stringify(body), signal: AbortSignal.timeout(20_000) });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null); // null: cut short, or a proxy's page
  if (response.ok && answer) return answer;
  throw refusal(path, response, answer);
}

/** Load a file, however long that takes; return it as a blob, and its name. */
export async function download(path) {
  const response = await ask(path, {});
  if (!response.ok) throw refusal(path, response, await response.json().catch(() => null));
  const blob = await response.blob().catch(() => Promise.reject(new ApiError(0)));
  const [, name] = response.headers.get("Content-Disposition")?.match(/filename="(.*?)"/) ?? [];
  return { blob, name };
}

function ask(path, options) {
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrfToken() };
  return fetch(`api/${path.split("/api/").at(-1)}`, { headers, ...options }).catch(() => Promise.reject(new ApiError(0)));
}

function refusal(path, response, answer) {
  if (response.status === 401 && path !== "auth/login/") notify("signed out");
  return new ApiError(response.ok ? 0 : response.status, answer, Number(response.headers.get("Retry-After")));
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
