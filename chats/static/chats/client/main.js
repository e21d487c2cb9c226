/** Where it begins: who is signed in, what the address says is open, if there is a connection; and the dialogs. */
import { call, changed, csrfToken, notices, pause, search, Stream } from "./api.js";
import * as s from "./state.js";
import { countOf, isMe, nameOf, openConversation, state, titleOf, unreadOf } from "./state.js";
import {
  $, ask, attempt, avatar, avatarOf, drawConversation, drawList, errorOf, item, onSearch, onSubmit, set, show, toast,
} from "./views.js";

const others = new BroadcastChannel("session"); // the other tabs

function begin() {
  if (!csrfToken()) return showWelcome(); // without that cookie nobody is signed in; with it, somebody may be
  call("GET", "users/me/").then(showApp, ({ status }) => (status === 401 ? showWelcome() : setTimeout(begin, 2_000)));
}

function showWelcome() {
  document.title = "Sign in · Messages";
  $("welcome").hidden = false;
  $("welcome").querySelector("[name=username]").focus();
}

function showApp(me) {
  if (state.me) return location.reload(); // signed in twice at once: whose the session is by now, the server knows
  state.me = me;
  $("welcome").remove(); // and the password with it
  $("app").hidden = false;
  set($("me"), { ".avatar": avatar(me.user_id, nameOf(me)), bdi: nameOf(me) });
  notices.addEventListener("change", draw);
  if (!history.state) history.replaceState({ isFromList: false }, "");
  addEventListener("hashchange", arrive);
  s.restore();
  follow();
  new Stream(me.user_id, { types: s.types, handle: s.handle, status }).start();
}

async function signIn(fields) {
  const me = await call("POST", "auth/login/", fields);
  others.postMessage("signed in");
  showApp(me);
}

async function signUp(fields) {
  await call("POST", "users/", fields);
  await signIn({ username: fields.username, password: fields.password });
}

for (const form of $("welcome").querySelectorAll("form")) onSubmit(form, form.id === "sign-up" ? signUp : signIn);

/** Forget everything in the simplest way, but for messages that wait until the person is back. */
const leave = () => location.replace(location.pathname);

/** Forget these, too: the person signed out. */
function forget() {
  s.forget();
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

// --- The page of somebody signed in -----------------------------------------------

function draw() {
  const unread = [...state.conversations.values()].filter((conversation) => unreadOf(conversation) > 0).length;
  document.title = unread ? `(${unread}) Messages` : "Messages";
  drawList();
  drawConversation();
  if (settings.open && openConversation()) drawPeople(openConversation()); // there is none while all is loaded anew
}

// --- The address, and the way back ------------------------------------------------

const ADDRESS = /^#\/c\/([\da-f-]{36})(?:\/(\d{1,9}))?$/;
const isPlain = ({ ctrlKey, metaKey, shiftKey }) => !(ctrlKey || metaKey || shiftKey); // else it opens in another tab

/** Note in a new entry of the browser's history whether it was opened from the list. */
function arrive({ oldURL }) {
  if (!history.state) history.replaceState({ isFromList: !ADDRESS.test(new URL(oldURL).hash) }, "");
  follow();
}

/** Go to the list: back, where one came from it. The browser's own Back then never leads forward. */
function goBack(event) {
  if (!isPlain(event)) return;
  event.preventDefault();
  if (history.state?.isFromList) history.back();
  else location.replace("#/");
}
for (const link of document.querySelectorAll(".back")) link.onclick = goBack;

let following = 0;
/**
 * Open what the address says: #/c/CONVERSATION_ID and, for one message, /SEQ. While nothing
 * is open, try until it works or something else is to be opened.
 */
async function follow() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const [, id, seq] = location.hash.match(ADDRESS) ?? [];
  const mine = ++following;
  for (let isFirst = true; isFirst || (mine === following && !state.room); isFirst = false) {
    const error = await errorOf(s.open(id, seq && Number(seq)));
    if (!error) return;
    if (isFirst && mine === following) toast(error.message);
    await pause(error.retryAfter * 1000 || 5_000);
  }
}

// What is open already is opened again, for one may have scrolled away.
$("sidebar").addEventListener("click", (event) => {
  if (isPlain(event) && event.target.closest("a")?.href === location.href) follow();
});
notices.addEventListener("closed", ({ detail: reason }) => {
  history.replaceState(history.state, "", "#/");
  follow();
  toast(reason);
});
notices.addEventListener("message", ({ detail: { conversation, message } }) => {
  const where = conversation.conversation_id === state.wanted ? "" : ` in ${titleOf(conversation)}`;
  $("announcer").textContent = `${nameOf(message.sender)}${where}: ${message.message_body.slice(0, 300)}`;
});

const PATIENCE = 2_500; // milliseconds without a stream before it is worth a word
const AWAY = "No connection. Messages are sent when you are back online.";
let telling;
/** The stream is there, or is not: said at each attempt to get it back. */
function status(isLive) {
  if (isLive === state.isLive) return;
  state.isLive = isLive;
  if (isLive) s.loadConversations().catch(() => {}); // who is online is told live only, and was missed
  if (isLive && state.wanted && !state.room) s.open(state.wanted, state.target).catch(() => {}); // sooner than the next try
  clearTimeout(telling);
  telling = setTimeout(() => ($("offline").textContent = state.isLive ? "" : AWAY), isLive ? 0 : PATIENCE);
  changed();
}

// --- Choosing people --------------------------------------------------------------

const chooser = $("chooser");
const choice = chooser.querySelector(".choice");
const chosen = () => [...choice.querySelectorAll("li:has(:checked)")].map(({ dataset }) => dataset.key);
choice.onchange = () => set(choice, { ".primary": { disabled: !chosen().length } });

/** Let people be searched and chosen, but those of `without`; then `act(ids, title, isOpen)`, called by `verb`. */
function choosePeople(heading, verb, without, act) {
  choice.reset();
  set(chooser, { h2: heading, ".people": "", ".naming": { hidden: verb !== "Start" }, ".primary": verb });
  choice.onchange();
  onSearch(choice.elements.search, (text, isWanted) => search("users/", text, isWanted), ({ results, next }) => {
    const kept = chosen();
    const people = results.filter(({ user_id }) => !without.has(user_id));
    set(choice, { ".hint": people.length ? "" : next ? "No one found yet." : "No one found." });
    const more = people.filter(({ user_id }) => !kept.includes(user_id)).map(choiceOf);
    show(choice.querySelector(".people"), [...kept.map((id) => item(id, "choice", {})), ...more]);
  });
  choice.elements.search.oninput();
  onSubmit(choice, async ({ title }, isOpen) => {
    await act(chosen(), title, isOpen);
    if (isOpen()) chooser.close();
  });
  chooser.showModal();
}

const choiceOf = (person) => item(person.user_id, "choice", namesOf(person));
const namesOf = (person) => ({
  ".avatar": avatarOf(person),
  ".names bdi": nameOf(person),
  small: `@${person.username}${person.is_online ? " · online" : ""}`,
});

$("new").onclick = () => {
  const clientIds = {}; // by choice: submitted again after a lost answer, it starts nothing twice
  choosePeople("New conversation", "Start", new Set([state.me.user_id]), async (participant_ids, title, isOpen) => {
    const pair = participant_ids.length === 1 && !title && pairWith(participant_ids[0]);
    const client_id = (clientIds[[...participant_ids, title]] ??= s.uuid());
    const { conversation_id: id } = pair || (await call("POST", "conversations/", { participant_ids, title, client_id }));
    if (isOpen()) location.hash = `#/c/${id}`;
  });
};

/** The untitled conversation with just this person, if there is one already. */
const pairWith = (userId) =>
  s.byActivity().find((conversation) => !conversation.title && s.partnerOf(conversation)?.user_id === userId);

// --- The people of the open conversation ----------------------------------------------

const settings = $("settings");
// Each is given the conversation it was meant for: by the time it runs, another may be open.
const change = (id, method, action, body) => call(method, `conversations/${id}/${action}`, body);
const remove = (id, user_id) => change(id, "POST", "remove_participant/", { user_id });

$("manage").onclick = () => {
  const conversation = openConversation();
  if (!conversation) return;
  onSubmit(settings.querySelector(".rename"), (fields) => change(conversation.conversation_id, "PATCH", "", fields));
  set(settings, { input: { value: conversation.title, placeholder: titleOf(conversation) } });
  drawPeople(conversation);
  settings.showModal();
};

function drawPeople(conversation) {
  const { conversation_id: id, read } = conversation;
  const people = [...read.keys()].map((userId) => state.people.get(userId) ?? state.me);
  set(settings, { h3: countOf(conversation) });
  show(settings.querySelector(".people"), people.map((person) => participant(person, conversation)));
  $("leave").onclick = () => ask("Leave this conversation?", "Leave", () => remove(id, state.me.user_id));
  $("add").onclick = () =>
    choosePeople("Add people", "Add", read, async (ids) => {
      for (const user_id of ids) await change(id, "POST", "add_participant/", { user_id });
    });
}

function participant(person, { conversation_id: id, owner }) {
  const { user_id } = person;
  const label = `Remove ${nameOf(person)}`;
  const onclick = () => ask(`${label} from this conversation?`, "Remove", () => remove(id, user_id));
  const button = { hidden: !isMe(owner) || isMe(user_id), ariaLabel: label, title: label, onclick };
  return item(user_id, "participant", { ...namesOf(person), ".hint": owner === user_id ? "owner" : "", button });
}

begin();
