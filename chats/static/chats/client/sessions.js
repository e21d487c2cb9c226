/** Where one is signed in: devices and access tokens, in the settings. */
import { call } from "./api.js";
import { on } from "./changes.js";
import { $, item, set, show } from "./draw.js";
import { ask, errorOf } from "./forms.js";
import { t } from "./texts.js";
import { exactly, shortly } from "./times.js";

const section = $("sessions");

on("settings", () => load());

/** Show where one is signed in by now, or why that could not be loaded. */
export async function load() {
  const error = await errorOf(all().then(draw));
  set($("settings"), { "#sessions .error": error?.message ?? "", "#tokens .failed-to-load": error?.message ?? "" });
}

/** Load all pages; the server bounds how many devices and tokens one has. */
async function all() {
  const found = [];
  for (let next = "auth/sessions/?page_size=100"; next; ) {
    const page = await call("GET", next);
    found.push(...page.results);
    next = page.next;
  }
  return found;
}

function draw(found) {
  const sessions = found.filter(({ kind }) => kind === "session").sort((one, other) => other.is_current - one.is_current);
  const tokens = found.filter(({ kind }) => kind === "token");
  show(section.querySelector("ul"), sessions.map(entry));
  show($("tokens").querySelector("ul"), tokens.map(entry));
  set($("tokens"), { ".none": { hidden: tokens.length > 0 } });
  set(section, { ".others": { hidden: found.length < 2, onclick: endOthers } });
}

function entry({ session_id: id, kind, name, address, last_used_at: time, expires_at, is_current }) {
  const isToken = kind === "token";
  const used = time ? t("sessions.used", { time: shortly(time) }) : t("sessions.never_used");
  const expiry = isToken && t("sessions.expires", { day: shortly(expires_at) });
  const label = t(isToken ? "tokens.revoke" : "sessions.end", { name });
  return item(id, "credential", {
    bdi: name,
    ".current": { hidden: !is_current },
    small: { textContent: [used, address, expiry].filter(Boolean).join(" · "), title: time ? exactly(time) : "" },
    button: { hidden: is_current, ariaLabel: label, title: label, onclick: () => endOne(id, isToken, name) },
  });
}

function endOne(id, isToken, name) {
  const remove = () => call("DELETE", `auth/sessions/${id}/`).then(load);
  if (isToken) ask(t("tokens.revoke_question", { name }), t("tokens.revoke_verb"), remove);
  else ask(t("sessions.end_question", { name }), t("sessions.end_verb"), remove);
}

const endOthers = () =>
  ask(t("sessions.end_others_question"), t("sessions.end_others_verb"), () =>
    call("POST", "auth/sessions/revoke_others/").then(load));
