/** The panel of the open conversation: its title, its people, and what one may do with it. */
import { call } from "./api.js";
import { on } from "./changes.js";
import { choosePeople, namesOf } from "./chooser.js";
import { $, item, set, show } from "./draw.js";
import { attempt, onSubmit } from "./forms.js";
import { countOf, isMe, nameOf, openConversation, state, titleOf } from "./store.js";
import { t } from "./texts.js";

const panel = $("panel");
let question = null; // in place of the settings: {text, hint, verb, action, asker}
// Each is given the conversation it was meant for: by the time it runs, another may be open.
const change = (id, method, action, body) => call(method, `conversations/${id}/${action}`, body);
const remove = (id, user_id) => change(id, "POST", "remove_participant/", { user_id });

on("change", () => panel.open && openConversation() && draw(openConversation())); // there is none while all is loaded anew

$("manage").onclick = openPanel;
function openPanel() {
  const conversation = openConversation();
  if (!conversation) return;
  question = null;
  onSubmit(panel.querySelector(".rename"), (fields) => change(conversation.conversation_id, "PATCH", "", fields));
  set(panel, { input: { value: conversation.title, placeholder: titleOf(conversation) } });
  draw(conversation);
  panel.showModal();
}

function draw(conversation) {
  const { conversation_id: id, read, can } = conversation;
  const people = [...read.keys()].map((userId) => state.people.get(userId) ?? state.me);
  set(panel, {
    h2: question ? question.text : t("panel.name"),
    h3: countOf(conversation),
    ".settings": { hidden: Boolean(question) },
    ".asking": { hidden: !question },
    ".asking .hint": question?.hint ?? "",
    ".rename": { hidden: !can.rename },
    "#add": { hidden: !can.add, onclick: () => add(id, read) },
    "#leave": { onclick: ({ currentTarget }) => ask(leaving(conversation), currentTarget) },
    "#delete": { hidden: !can.delete, onclick: ({ currentTarget }) => ask(deleting(conversation), currentTarget) },
  });
  show(panel.querySelector(".people"), people.map((person) => participant(person, conversation)));
}

function participant(person, { conversation_id: id, owner, can }) {
  const { user_id } = person;
  const name = nameOf(person);
  const label = t("panel.remove", { name });
  const asked = { text: t("panel.remove_question", { name }), verb: t("panel.remove_verb"), action: () => remove(id, user_id) };
  const onclick = ({ currentTarget }) => ask(asked, currentTarget);
  const button = { hidden: !can.remove || isMe(user_id), ariaLabel: label, title: label, onclick };
  return item(user_id, "participant", { ...namesOf(person), ".hint": owner === user_id ? t("panel.owner") : "", button });
}

/** Choose people in place of the panel, which is there again afterwards. */
function add(id, without) {
  panel.close();
  choosePeople({ heading: t("panel.add"), verb: t("panel.add_verb"), without }, async (ids) => {
    for (const user_id of ids) await change(id, "POST", "add_participant/", { user_id });
  });
  const goBack = () => openConversation()?.conversation_id === id && openPanel();
  $("chooser").addEventListener("close", goBack, { once: true });
}

// --- Questions -------------------------------------------------------------------

const leaving = ({ conversation_id: id, owner, participant_count: count }) => ({
  text: t("panel.leave_question"),
  hint: isMe(owner) && count > 1 ? t("panel.leave_hint") : "",
  verb: t("panel.leave"),
  action: () => remove(id, state.me.user_id),
});

const deleting = (conversation) => ({
  text: t("panel.delete_question", { title: titleOf(conversation) }),
  hint: t("panel.delete_hint"),
  verb: t("panel.delete_verb"),
  action: () => change(conversation.conversation_id, "DELETE", ""),
});

/** Ask in place of the settings. */
function ask(asked, asker) {
  question = { ...asked, asker };
  set(panel, { ".asking .danger": asked.verb });
  redraw();
  panel.querySelector(".asking .plain").focus();
}

/** Show the settings again, and be where one was. */
function settle() {
  const { asker } = question ?? {};
  question = null;
  redraw();
  if (asker?.isConnected) asker.focus();
  else $("panel-title").focus();
}

const redraw = () => openConversation() && draw(openConversation());

set(panel, {
  ".asking .plain": { onclick: settle },
  ".asking .danger": {
    onclick: async ({ currentTarget: button }) => {
      button.disabled = true; // once at a time
      const { action } = question;
      const isDone = await attempt(action);
      button.disabled = false;
      if (isDone && question?.action === action) settle();
    },
  },
});
// Escape leads back before it closes.
panel.addEventListener("cancel", (event) => {
  if (!question) return;
  event.preventDefault();
  settle();
});
