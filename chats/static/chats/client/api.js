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

/** Read a list or a thing: `get("messages/", {search: "tea"})`. */
export const get = (path, parameters) => api.get(path, parameters);

/** Search a list, as long as that is wanted; with `next` in what it returns not all of it was. */
export const search = (path, text, isWanted) => api.search(path, text, isWanted);
