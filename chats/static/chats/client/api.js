/** Calls the API with the session's cookie. */
import { notify } from "./changes.js";
import { Api, csrfToken as tokenInCookie } from "./library/api.js";
import { t } from "./texts.js";

export const csrfToken = tokenInCookie;
export const api = new Api("api/", {
  texts: {
    unexpected: (status) => t("errors.unexpected", { status }),
    unreachable: () => t("errors.unreachable"),
  },
});
api.on("signed out", () => notify("signed out"));

/** Call `api/PATH` below the page, or the address of a next page; return what it answers, or raise an ApiError. */
export const call = (method, path, body) => api.call(method, path, body);

/** Load a file, however long that takes; return it as a blob, and its name. */
export async function download(path) {
  const response = await api.request("GET", path);
  const blob = response.ok && (await response.blob().catch(() => null));
  if (!blob) throw await api.errorOf(response);
  const [, name] = response.headers.get("Content-Disposition")?.match(/filename="(.*?)"/) ?? [];
  return { blob, name };
}

/** Read a list or a thing: `get("messages/", {search: "tea"})`. */
export const get = (path, parameters) => api.get(path, parameters);

/** Search a list, as long as that is wanted; with `next` in what it returns not all of it was. */
export const search = (path, text, isWanted) => api.search(path, text, isWanted);
