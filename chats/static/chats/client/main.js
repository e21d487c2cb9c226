/** Where it begins: who is signed in, and what the address says is open. */
import { ApiError, call, csrfToken, onSignedOut } from "./api.js";
import { toast } from "./dom.js";

const welcome = document.getElementById("welcome");
const forms = [...welcome.querySelectorAll("form")];
const others = new BroadcastChannel("session"); // the other tabs
let app = null;

async function begin() {
  // Without that cookie nobody is signed in; with it, somebody may be.
  const me = csrfToken() && (await call("GET", "users/me/").catch((error) => error));
  if (me instanceof ApiError && me.status === 401) return showWelcome();
  if (me instanceof Error) return setTimeout(begin, 2_000);
  return me ? showApp(me) : showWelcome();
}

function showWelcome() {
  document.title = "Sign in · Messages";
  document.getElementById("app").hidden = true;
  welcome.hidden = false;
  (welcome.querySelector("[data-username]") ?? welcome.querySelector("form:not([hidden]) input")).focus();
}

async function showApp(me) {
  // Only now: who signs in needs a third of the code.
  app = await import("./app.js");
  welcome.hidden = true;
  document.getElementById("app").hidden = false;
  await app.start(me, signOut);
}

async function signOut() {
  await call("POST", "auth/logout/");
  others.postMessage("signed out");
  leave();
}

/** Forget everything of the person, in the simplest way. */
function leave() {
  sessionStorage.clear();
  location.replace(location.pathname);
}

onSignedOut(() => {
  if (app) leave();
});
others.onmessage = leave; // somebody signed in or out in another tab

// --- The forms ------------------------------------------------------------------

async function signIn(fields) {
  const me = await call("POST", "auth/login/", fields);
  others.postMessage("signed in");
  await showApp(me);
}

async function signUp(fields) {
  await call("POST", "users/", fields);
  await signIn({ username: fields.username, password: fields.password });
}

async function submit(form) {
  const isComplete = showErrors(form, missing(form));
  const button = form.querySelector("button:not([type])");
  if (!isComplete || button.disabled) return;
  button.disabled = true;
  try {
    await (form.id === "sign-up" ? signUp : signIn)(Object.fromEntries(new FormData(form)));
    form.reset();
  } catch (error) {
    showErrors(form, error.fields ?? {}, error.message);
  }
  button.disabled = false;
}

function missing(form) {
  const empty = [...form.elements].filter((field) => field.required && !field.value);
  return Object.fromEntries(empty.map((field) => [field.name, ["Please fill this in."]]));
}

/** Mark the fields at fault and go to the first; whether there were none. */
function showErrors(form, fields, text = "") {
  const messages = Object.entries(fields).map(([name, errors]) => {
    const label = form.elements[name]?.closest("label").firstChild.data.trim();
    return label ? `${label}: ${[errors].flat().join(" ")}` : [errors].flat().join(" ");
  });
  for (const input of form.querySelectorAll("input")) {
    input.toggleAttribute("aria-invalid", input.name in fields);
  }
  form.querySelector(".error").textContent = messages.join("\n") || text;
  form.querySelector("[aria-invalid]")?.focus();
  return !messages.length;
}

for (const form of forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(form);
  });
}
welcome.addEventListener("click", ({ target }) => {
  const { show, username, password } = target.dataset;
  if (username) signIn({ username, password }).catch((error) => toast(error.message));
  if (!show) return;
  for (const form of forms) form.hidden = form.id !== show;
  document.getElementById(show).querySelector("input").focus();
});

begin();
