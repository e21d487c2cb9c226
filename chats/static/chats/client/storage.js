/**
 * What a tab keeps of somebody over a reload, and a session that ends by itself; signing
 * out deletes it.
 */
import { on } from "./changes.js";
import { state } from "./store.js";

const nameInStorage = (kind) => `${kind} of ${state.me.user_id}`;
export const store = (kind, value, replacer) =>
  sessionStorage.setItem(nameInStorage(kind), JSON.stringify(value, replacer));
export const stored = (kind) => JSON.parse(sessionStorage.getItem(nameInStorage(kind)) ?? "[]");

on("forget", () => sessionStorage.clear());
