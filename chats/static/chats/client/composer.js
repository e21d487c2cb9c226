/** Where one writes a message, or edits one. */
import { call } from "./api.js";
import { changed, on } from "./changes.js";
import { draftOf, keepDraft } from "./drafts.js";
import { $ } from "./draw.js";
import { ask, attempt } from "./forms.js";
import { addAction } from "./menus.js";
import { send } from "./outbox.js";
import { isMe, openConversation } from "./store.js";
import { t } from "./texts.js";
import { elementOf, goToEnd, hasMouse, shownTimeline } from "./timeline.js";

on("shown", takeUp);

const LONGEST = 10_000; // characters, as the server counts them
const TYPING_EVERY = 3_000;
let told = 0; // when the others were last told that I type

/** Take up what was being written in the conversation: a message, or the new words of another. */
function takeUp() {
  const { text, edit } = draftOf(shownTimeline().id);
  $("text").value = edit?.text ?? text;
  $("editing").hidden = !edit;
  measure();
}

/** Edit a message; with null, none any more: what was being written before is there again. */
function edit(message) {
  const { text } = draftOf(shownTimeline().id);
  keepDraft(shownTimeline().id, { text, edit: message && { message_id: message.message_id, text: message.message_body } });
  takeUp();
  changed(); // the message shows it
  $("text").focus();
}

const isPlain = ({ altKey, ctrlKey, metaKey, shiftKey }) => !(altKey || ctrlKey || metaKey || shiftKey);

/** Edit my last message, of those that are there, unless it is deleted. */
function editLast(event) {
  const last = shownTimeline().messages.findLast(({ sender, deleted_at }) => isMe(sender.user_id) && !deleted_at);
  if (!last || draftOf(shownTimeline().id).edit) return;
  event.preventDefault();
  edit(last);
}

/** Fit the field to its text; say when it is too long. */
function measure() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
  const rest = LONGEST - [...text.value].length;
  $("left").textContent = rest < 0 ? t("composer.too_long", { count: -rest }) : "";
  $("send").disabled = rest < 0 || !text.value.trim();
}

$("stop").onclick = () => edit(null);

$("text").oninput = () => {
  measure();
  const { text, edit } = draftOf(shownTimeline().id);
  if (edit) edit.text = $("text").value;
  keepDraft(shownTimeline().id, { text: edit ? text : $("text").value, edit });
  if (edit) return;
  if (Date.now() - told < TYPING_EVERY) return;
  told = Date.now();
  call("POST", `conversations/${shownTimeline().id}/typing/`).catch(() => {}); // not worth a word
};

$("text").onkeydown = (event) => {
  if (event.key === "Escape" && !$("editing").hidden) edit(null);
  if (event.key === "ArrowUp" && !$("text").value && isPlain(event)) return editLast(event);
  // On a phone Enter makes a new line: there is a button to send.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !hasMouse()) return;
  event.preventDefault();
  $("send").click();
};

$("composer").onsubmit = async (event) => {
  event.preventDefault();
  const message_body = $("text").value;
  const { edit } = draftOf(shownTimeline().id);
  if (edit) return save(shownTimeline().id, edit, message_body);
  keepDraft(shownTimeline().id, {});
  told = 0;
  takeUp();
  shownTimeline().firstNew = undefined;
  send(shownTimeline().id, message_body);
  attempt(goToEnd);
};

/** Save an edit; then it is over, unless one has written on or edits something else. */
async function save(id, edit, message_body) {
  if (!(await attempt(() => call("PATCH", `messages/${edit.message_id}/`, { message_body })))) return;
  const draft = draftOf(id);
  if (draft.edit !== edit || edit.text !== message_body) return;
  keepDraft(id, { text: draft.text });
  changed();
  if (shownTimeline()?.id !== id) return;
  takeUp();
  if ($("composer").matches(":focus-within")) $("text").focus();
}

// --- What can be done with a message -----------------------------------------------

addAction("message", { name: "edit", icon: "pen", isFor: ({ sender }) => isMe(sender.user_id), act: edit });
addAction("message", {
  name: "delete",
  icon: "bin",
  isDangerous: true,
  isFor: ({ sender }) => isMe(sender.user_id) || isMe(openConversation()?.owner),
  act: ({ message_id, seq }) =>
    ask(t("message.delete_question"), t("message.delete_verb"), () => {
      elementOf(seq)?.focus({ preventScroll: true }); // the button, where one is, will go
      return call("DELETE", `messages/${message_id}/`);
    }),
});
