/** The panel of the open conversation: its title and its people. */
import { call } from "./api.js";
import { on } from "./changes.js";
import { choosePeople, namesOf } from "./chooser.js";
import { $, item, set, show } from "./draw.js";
import { ask, onSubmit } from "./forms.js";
import { countOf, isMe, nameOf, openConversation, state, titleOf } from "./store.js";
import { t } from "./texts.js";

const panel = $("panel");
// Each is given the conversation it was meant for: by the time it runs, another may be open.
const change = (id, method, action, body) => call(method, `conversations/${id}/${action}`, body);
const remove = (id, user_id) => change(id, "POST", "remove_participant/", { user_id });

on("change", () => panel.open && openConversation() && draw(openConversation())); // there is none while all is loaded anew

$("manage").onclick = () => {
  const conversation = openConversation();
  if (!conversation) return;
  onSubmit(panel.querySelector(".rename"), (fields) => change(conversation.conversation_id, "PATCH", "", fields));
  set(panel, { input: { value: conversation.title, placeholder: titleOf(conversation) } });
  draw(conversation);
  panel.showModal();
};

function draw(conversation) {
  const { conversation_id: id, read } = conversation;
  const people = [...read.keys()].map((userId) => state.people.get(userId) ?? state.me);
  set(panel, { h3: countOf(conversation) });
  show(panel.querySelector(".people"), people.map((person) => participant(person, conversation)));
  $("leave").onclick = () => ask(t("panel.leave_question"), t("panel.leave"), () => remove(id, state.me.user_id));
  $("add").onclick = () =>
    choosePeople({ heading: t("panel.add"), verb: t("panel.add_verb"), without: read }, async (ids) => {
      for (const user_id of ids) await change(id, "POST", "add_participant/", { user_id });
    });
}

function participant(person, { conversation_id: id, owner }) {
  const { user_id } = person;
  const name = nameOf(person);
  const label = t("panel.remove", { name });
  const onclick = () => ask(t("panel.remove_question", { name }), t("panel.remove_verb"), () => remove(id, user_id));
  const button = { hidden: !isMe(owner) || isMe(user_id), ariaLabel: label, title: label, onclick };
  return item(user_id, "participant", { ...namesOf(person), ".hint": owner === user_id ? t("panel.owner") : "", button });
}
