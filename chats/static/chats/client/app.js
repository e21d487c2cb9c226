/** The page of somebody signed in: the stream, the views, the address, the title. */
import { announce, toast } from "./dom.js";
import * as outbox from "./outbox.js";
import * as conversation from "./conversation.js";
import * as sidebar from "./sidebar.js";
import { changed, close, handle, load, nameOf, notices, onChange, open, refreshPeople, state, titleOf, unreadOf } from "./state.js";
import { Stream } from "./stream.js";

const MINUTE = 60_000;
const PATIENCE = 2_500; // milliseconds without a stream before it is worth a word

export async function start(me, signOut) {
  state.me = me;
  const stream = new Stream(me.user_id, { load, handle, status });
  sidebar.mount(document.getElementById("sidebar"), {
    async signOut() {
      await signOut();
      stream.stop();
    },
  });
  conversation.mount(document.getElementById("conversation"));
  onChange(render);
  addEventListener("hashchange", follow);
  setInterval(changed, MINUTE); // times are relative
  await stream.start();
  outbox.restore();
  follow();
}

function render() {
  document.getElementById("app").classList.toggle("reading", Boolean(state.wanted));
  const unread = [...state.conversations.values()].filter((item) => unreadOf(item) > 0).length;
  document.title = unread ? `(${unread}) Messages` : "Messages";
  sidebar.render();
  conversation.render();
}

// --- The address: #/c/CONVERSATION_ID and, for one message, /SEQ ------------------

function follow() {
  const [, id, seq] = location.hash.match(/^#\/c\/([\da-f-]{36})(?:\/(\d{1,9}))?$/) ?? [];
  if (!id) {
    close();
    return sidebar.focus();
  }
  const focus = () => setTimeout(conversation.focus); // once it is drawn
  open(id, seq && Number(seq)).then(focus, (error) => toast(error.message));
}

function leave() {
  location.hash = "#/";
}

notices.addEventListener("lost", ({ detail }) => {
  toast(`You are no longer in “${titleOf(detail)}”.`);
  leave();
});
notices.addEventListener("absent", () => {
  toast("There is no such conversation.");
  leave();
});
notices.addEventListener("message", ({ detail: { conversation: there, message } }) => {
  const where = there.conversation_id === state.wanted ? "" : ` in ${titleOf(there)}`;
  announce(`${nameOf(message.sender)}${where}: ${message.message_body.slice(0, 300)}`);
});

// --- Whether the stream is there ----------------------------------------------------

let warning = null;
/** The stream is there, or is not: said at each attempt to get it back. */
function status(isLive) {
  const wasLive = state.isLive;
  state.isLive = isLive;
  const bar = document.getElementById("offline");
  if (isLive) {
    clearTimeout(warning);
    warning = null;
    bar.replaceChildren();
    outbox.hurry();
    if (!wasLive) refreshPeople();
  } else {
    warning ??= setTimeout(() => (bar.textContent = "No connection. What you write is sent as soon as there is one."), PATIENCE);
  }
  changed();
}
