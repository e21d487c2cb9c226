/** Where it begins: who is signed in, what the address says is open, whether there is a connection. */
import { call, changed, csrfToken, notices, Stream } from "./api.js";
import {
  handle, load, loadConversations, nameOf, open, restoreOutbox, state, titleOf, types, unreadOf,
} from "./state.js";
import { $, attempt, avatar, drawConversation, drawList, set, toast } from "./views.js";

const others = new BroadcastChannel("session"); // the other tabs

function begin() {
  if (!csrfToken()) return showWelcome(); // without that cookie nobody is signed in; with it, somebody may be
  call("GET", "users/me/").then(showApp, ({ status }) => {
    if (status === 401) showWelcome();
    else setTimeout(begin, 2_000);
  });
}

function showWelcome() {
  document.title = "Sign in · Messages";
  $("welcome").hidden = false;
  $("welcome").querySelector("[data-username], input").focus();
}

function showApp(me) {
  if (state.me) return; // a button was pressed twice
  state.me = me;
  $("welcome").hidden = true;
  $("app").hidden = false;
  set($("me"), { ".avatar": avatar(me.user_id, nameOf(me)), bdi: nameOf(me) });
  notices.addEventListener("change", draw);
  addEventListener("hashchange", follow);
  restoreOutbox();
  follow();
  new Stream(me.user_id, { load, types, handle, status }).start();
}

/** Forget everything in the simplest way, but for messages that wait until the person is back. */
const leave = () => location.replace(location.pathname);

/** Forget these, too: the person signed out. */
function forget() {
  state.outbox = []; // what is being sent may fail yet, and would be kept
  sessionStorage.clear();
  leave();
}

$("sign-out").onclick = () =>
  attempt(async () => {
    await call("POST", "auth/logout/");
    others.postMessage("signed out");
    forget();
  });
notices.addEventListener("signed out", () => state.me && leave());
others.onmessage = ({ data }) => (data === "signed out" ? forget() : leave()); // in another tab

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

for (const form of $("welcome").querySelectorAll("form")) {
  form.onsubmit = async (event) => {
    event.preventDefault();
    event.submitter.disabled = true;
    try {
      await (form.id === "sign-up" ? signUp : signIn)(Object.fromEntries(new FormData(form)));
      form.reset();
    } catch (error) {
      showErrors(form, error);
    }
    event.submitter.disabled = false;
  };
}

/** Mark the fields at fault and go to the first; say what is wrong. */
function showErrors(form, { fields, message }) {
  for (const input of form.querySelectorAll("input")) input.ariaInvalid = String(input.name in fields);
  form.querySelector(".error").textContent = Object.values(fields).flat().join("\n") || message;
  (form.querySelector("[aria-invalid=true]") ?? form.elements.password).focus();
}

$("welcome").onclick = ({ target: { dataset } }) => {
  const { username, password } = dataset;
  if (username) attempt(() => signIn({ username, password }));
};

// --- The page of somebody signed in -----------------------------------------------

function draw() {
  const unread = [...state.conversations.values()].filter((conversation) => unreadOf(conversation) > 0).length;
  document.title = unread ? `(${unread}) Messages` : "Messages";
  drawList();
  drawConversation();
}

/** Open what the address says: #/c/CONVERSATION_ID and, for one message, /SEQ. */
function follow() {
  const [, id, seq] = location.hash.match(/^#\/c\/([\da-f-]{36})(?:\/(\d{1,9}))?$/) ?? [];
  attempt(() => open(id, seq && Number(seq))).then(reopenLater);
}

// What is open already is opened again: one may have scrolled away.
$("sidebar").addEventListener("click", ({ target }) => target.closest("a")?.href === location.href && follow());

let later;
function reopenLater() {
  clearTimeout(later);
  later = setTimeout(reopen, 5_000);
}
/** Open what could not be opened once more, until it is there. */
function reopen() {
  if (state.wanted && !state.room) open(state.wanted, state.target).catch(() => {}).then(reopenLater);
}

notices.addEventListener("closed", ({ detail: reason }) => {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  toast(reason);
  location.hash = "#/";
});
notices.addEventListener("message", ({ detail: { conversation, message } }) => {
  const where = conversation.conversation_id === state.wanted ? "" : ` in ${titleOf(conversation)}`;
  $("announcer").textContent = `${nameOf(message.sender)}${where}: ${message.message_body.slice(0, 300)}`;
});

const PATIENCE = 2_500; // milliseconds without a stream before it is worth a word
let warning;
/** The stream is there, or is not: said at each attempt to get it back. */
function status(isLive) {
  if (isLive === state.isLive) return;
  state.isLive = isLive;
  const text = isLive ? "" : "No connection. What you write is sent as soon as there is one.";
  clearTimeout(warning);
  warning = setTimeout(() => ($("offline").textContent = text), isLive ? 0 : PATIENCE);
  if (isLive) {
    loadConversations().catch(() => {}); // who is online is told live only, and was missed
    reopen();
  }
  changed();
}

begin();
