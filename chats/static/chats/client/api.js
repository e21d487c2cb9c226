/** Calls of the HTTP API, with the session's cookie and its CSRF token. */

/** The server said no. `fields` are the messages of a form's fields, by name. */
export class ApiError extends Error {
  constructor(status, body, retryAfter) {
    const { detail, code, ...fields } = body ?? {};
    super(detail ?? Object.values(fields).flat()[0] ?? `The server answered ${status}.`);
    Object.assign(this, { status, fields, retryAfter });
  }

  /** Whether the same call may work later: the server is busy, or gone behind its proxy. */
  get isTemporary() {
    return [429, 502, 503, 504].includes(this.status);
  }
}

/** No answer: nobody knows whether the server did it, so only a call with a client_id is repeated. */
export class NetworkError extends Error {
  isTemporary = true;
}

let signedOut = () => {};
/** Say what to do when the session has ended. */
export function onSignedOut(action) {
  signedOut = action;
}

export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=(\w+)/)?.[1] ?? "";
}

/** Call `/api/PATH`; return what it answers, or raise an ApiError or a NetworkError. */
export async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  const options = { method, headers, body: JSON.stringify(body), signal: AbortSignal.timeout(20_000) };
  let response, text;
  try {
    response = await fetch(`/api/${path}`, options);
    text = await response.text();
  } catch {
    throw new NetworkError("The server cannot be reached.");
  }
  const answer = parsed(text);
  if (response.ok) return answer;
  if (response.status === 401 && path !== "auth/login/") signedOut();
  throw new ApiError(response.status, answer, Number(response.headers.get("Retry-After")));
}

/** Read a list or a thing: `get("messages/", {search: "tea"})`. */
export function get(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return call("GET", query ? `${path}?${query}` : path);
}

/** The path of a list's next page, for `get`; null at its end. */
export function nextPath({ next }) {
  if (!next) return null;
  const { pathname, search } = new URL(next, location.href);
  return pathname.replace("/api/", "") + search;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // nothing, or a proxy's page
  }
}
