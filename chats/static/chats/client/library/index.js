/** A client of a Django messaging server: see README.md. */
export { Api, ApiError, csrfToken } from "./api.js";
export { Frames } from "./frames.js";
export { Notices } from "./notices.js";
export { Outbox, uuid } from "./outbox.js";
export { firstOf, nameOf, shortNameOf, Store } from "./store.js";
export { Stream } from "./stream.js";
