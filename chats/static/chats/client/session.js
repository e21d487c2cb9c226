/** Who is signed in: the beginning and the end of a session, in all tabs at once. */
import { call, csrfToken } from "./api.js";
import { notify, on } from "./changes.js";
import { $ } from "./draw.js";
import { onSubmit } from "./forms.js";
import { state } from "./store.js";
import { t } from "./texts.js";

const others = new BroadcastChannel("session"); // the other tabs

/** Show the conversations of whoever is signed in, or ask them to sign in. */
export function begin() {
  if (!csrfToken()) return showWelcome(); // without that cookie nobody is signed in; with it, somebody may be
  call("GET", "users/me/").then(enter, ({ status }) => (status === 401 ? showWelcome() : setTimeout(begin, 2_000)));
}

/** Show the sign-in page, one of whose forms is to be filled in. */
export function showWelcome(form = $("sign-in")) {
  document.title = t("welcome.title");
  $("welcome").hidden = false;
  form.querySelector("input:not([type=hidden])").focus();
}

function enter(me) {
  if (state.me) return location.reload(); // signed in twice at once: whose the session is by now, the server knows
  state.me = me;
  $("welcome").remove(); // and the password with it
  $("app").hidden = false;
  notify("begin");
}

export async function signIn(fields) {
  const me = await call("POST", "auth/login/", fields);
  others.postMessage("signed in");
  enter(me);
  focusFirst();
}

/** Once they are there, lead to the conversations, unless one is open and has the focus. */
function focusFirst() {
  if (!state.isLoaded) return on("change", focusFirst, { once: true });
  if (document.activeElement === document.body) ($("list").querySelector("a") ?? $("new")).focus();
}

async function signUp(fields) {
  await call("POST", "users/", fields);
  await signIn({ username: fields.username, password: fields.password });
}

for (const form of $("welcome").querySelectorAll(".demo, #sign-in")) onSubmit(form, signIn);
if ($("sign-up")) onSubmit($("sign-up"), signUp);

/** Forget everything in the simplest way, but for messages that wait until the person is back. */
const leave = () => location.replace(location.pathname);

/** Forget these, too: the person signed out. */
function forget() {
  notify("forget");
  leave();
}

export async function signOut() {
  await call("POST", "auth/logout/");
  end();
}

/** The session is over, and the person wanted that: forget them in all tabs. */
export function end() {
  others.postMessage("signed out");
  forget();
}

on("signed out", () => state.me && leave());
others.onmessage = ({ data }) => (data === "signed out" ? forget() : leave()); // in another tab
