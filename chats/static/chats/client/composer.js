/** Where one writes: new messages and new wordings of old ones. */
import { call } from "./api.js";
import { attempt, h, iconButton } from "./dom.js";
import { send } from "./outbox.js";
import { isMe, state } from "./state.js";

const LONGEST = 10_000; // characters, as the server counts them
const TYPING_EVERY = 3_000;

const drafts = new Map(); // conversation_id -> text
let form, text, button, bar, left;
let there = ""; // the conversation_id
let edited = null; // the message being edited
let told = 0; // when the others were last told that I type
let goToEnd;

export function mount(options) {
  goToEnd = options.goToEnd;
  bar = h("p", { class: "editing", hidden: true }, "Editing a message", iconButton("close", "Stop editing", stopEditing));
  text = h("textarea", { rows: 1, placeholder: "Message", "aria-label": "Message", "aria-describedby": "left", dir: "auto", oninput: changed, onkeydown: key });
  left = h("span", { class: "left", id: "left", "aria-live": "polite" });
  button = iconButton("send", "Send", () => form.requestSubmit(), { class: "icon send", disabled: true });
  form = h("form", { class: "composer", onsubmit: submit }, bar, text, left, button);
  return form;
}

export const focus = () => text.focus();

/** Another conversation is open: take up what was being written there. */
export function enter({ conversation_id }) {
  if (there === conversation_id) return;
  if (edited) stopEditing();
  there = conversation_id;
  told = 0;
  write(drafts.get(there) ?? "");
}

export function edit(message) {
  edited = message;
  bar.hidden = false;
  write(message.message_body);
  focus();
}

function stopEditing() {
  edited = null;
  bar.hidden = true;
  write(drafts.get(there) ?? "");
  focus();
}

function write(value) {
  text.value = value;
  measure();
}

/** Fit the field to its text; say when it is too long. */
function measure() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
  const rest = LONGEST - [...text.value].length;
  left.textContent = rest < 0 ? `${-rest} characters too many` : rest < 500 ? `${rest} characters left` : "";
  button.disabled = rest < 0 || !text.value.trim();
}

function changed() {
  measure();
  if (edited) return;
  drafts.set(there, text.value);
  if (text.value && Date.now() - told > TYPING_EVERY) {
    told = Date.now();
    call("POST", `conversations/${there}/typing/`).catch(() => {}); // not worth a word
  }
}

function key(event) {
  // On a phone Enter makes a new line: there is a button to send.
  const isEnter = event.key === "Enter" && !event.shiftKey && !event.isComposing;
  if (isEnter && matchMedia("(pointer: fine)").matches) {
    event.preventDefault();
    form.requestSubmit();
  }
  if (event.key === "Escape" && edited) stopEditing();
  if (event.key === "ArrowUp" && !text.value) {
    const mine = state.room?.messages.findLast((message) => isMe(message.sender.user_id) && !message.deleted_at);
    if (mine) edit(mine);
    event.preventDefault();
  }
}

async function submit(event) {
  event.preventDefault();
  if (button.disabled) return;
  const body = text.value;
  if (edited) return saveEdit(body);
  drafts.delete(there);
  told = 0;
  write("");
  state.room.newAfter = null;
  send(there, body);
  attempt(goToEnd);
}

async function saveEdit(message_body) {
  const { message_id } = edited;
  button.disabled = true;
  if (await attempt(() => call("PATCH", `messages/${message_id}/`, { message_body }))) stopEditing();
  else measure();
}
