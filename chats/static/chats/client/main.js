/** Where it begins: who is signed in, what the address says is open, whether there is a connection. */
import { ApiError, call, csrfToken, onSignedOut, Stream } from "./api.js";
import {
  changed, handle, hurry, load, nameOf, notices, open, refreshPeople, restoreOutbox, state, titleOf, types, unreadOf,
} from "./state.js";
import { $, announce, attempt, avatar, bdi, drawConversation, drawList, focusList, toast } from "./views.js";

const forms = [...$("welcome").querySelectorAll("form")];
const others = new BroadcastChannel("session"); // the other tabs

async function begin() {
  // Without that cookie nobody is signed in; with it, somebody may be.
  const me = csrfToken() && (await call("GET", "users/me/").catch((error) => error));
  if (me instanceof ApiError && me.status !== 401) setTimeout(begin, 2_000);
  else if (!me || me instanceof ApiError) showWelcome();
  else showApp(me);
}

function showWelcome() {
  document.title = "Sign in · Messages";
  $("welcome").hidden = false;
  const first = $("welcome").querySelector("[data-username]") ?? $("welcome").querySelector("form input");
  first.focus();
}

function showApp(me) {
  state.me = me;
  $("welcome").hidden = true;
  $("app").hidden = false;
  $("me").prepend(avatar(me.user_id, nameOf(me)), bdi(nameOf(me)));
  notices.addEventListener("change", draw);
  addEventListener("hashchange", follow);
  restoreOutbox();
  follow();
  new Stream(me.user_id, { load, types, handle, status }).start();
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

$("sign-out").onclick = () => attempt(signOut);
onSignedOut(() => state.me && leave());
others.onmessage = leave; // somebody signed in or out in another tab

// --- The forms ------------------------------------------------------------------

async function signIn(fields) {
  const me = await call("POST", "auth/login/", fields);
  others.postMessage("signed in");
  showApp(me);
}

async function signUp(fields) {
  await call("POST", "users/", fields);
  await signIn({ username: fields.username, password: fields.password });
}

async function submit(form) {
  const button = form.querySelector("button:not([type])");
  button.disabled = true;
  try {
    await (form.id === "sign-up" ? signUp : signIn)(Object.fromEntries(new FormData(form)));
    form.reset();
  } catch (error) {
    showErrors(form, error.fields, error.message);
  }
  button.disabled = false;
}

/** Mark the fields at fault and go to the first; say what is wrong. */
function showErrors(form, fields, text) {
  const lines = Object.entries(fields).map(([name, errors]) => {
    const label = form.elements[name]?.labels[0].firstChild.data.trim();
    return `${label ? `${label}: ` : ""}${errors.join(" ")}`;
  });
  for (const input of form.querySelectorAll("input")) input.toggleAttribute("aria-invalid", input.name in fields);
  form.querySelector(".error").textContent = lines.join("\n") || text;
  form.querySelector("[aria-invalid]")?.focus();
}

for (const form of forms) {
  form.onsubmit = (event) => {
    event.preventDefault();
    submit(form);
  };
}
$("welcome").onclick = ({ target: { dataset } }) => {
  const { show, username, password } = dataset;
  if (username) attempt(() => signIn({ username, password }));
  if (!show) return;
  for (const form of forms) form.hidden = form.id !== show;
  $(show).querySelector("input").focus();
};

// --- The page of somebody signed in -----------------------------------------------

function draw() {
  $("app").classList.toggle("reading", Boolean(state.wanted));
  const unread = [...state.conversations.values()].filter((conversation) => unreadOf(conversation) > 0).length;
  document.title = unread ? `(${unread}) Messages` : "Messages";
  drawList();
  drawConversation();
}

/** Open what the address says: #/c/CONVERSATION_ID and, for one message, /SEQ. */
function follow() {
  const [, id, seq] = location.hash.match(/^#\/c\/([\da-f-]{36})(?:\/(\d{1,9}))?$/) ?? [];
  attempt(() => open(id, seq && Number(seq)));
  if (!id) focusList();
}

/** Close the conversation and say why. */
function goBack(reason) {
  toast(reason);
  location.hash = "#/";
}
notices.addEventListener("lost", ({ detail }) => goBack(`You are no longer in “${titleOf(detail)}”.`));
notices.addEventListener("absent", () => goBack("There is no such conversation."));
notices.addEventListener("message", ({ detail: { conversation, message } }) => {
  const where = conversation.conversation_id === state.wanted ? "" : ` in ${titleOf(conversation)}`;
  announce(`${nameOf(message.sender)}${where}: ${message.message_body.slice(0, 300)}`);
});

const PATIENCE = 2_500; // milliseconds without a stream before it is worth a word
let warning = null;
/** The stream is there, or is not: said at each attempt to get it back. */
function status(isLive) {
  if (isLive) {
    clearTimeout(warning);
    warning = null;
    $("offline").textContent = "";
    hurry();
    if (!state.isLive) refreshPeople().catch(() => {});
  } else {
    const text = "No connection. What you write is sent as soon as there is one.";
    warning ??= setTimeout(() => ($("offline").textContent = text), PATIENCE);
  }
  state.isLive = isLive;
  changed();
}

begin();
