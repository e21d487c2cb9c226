/** Choosing people, and starting a conversation with them. */
import { call, search } from "./api.js";
import { $, avatarOf, item, set, show } from "./draw.js";
import { onSearch, onSubmit } from "./forms.js";
import { uuid } from "./outbox.js";
import * as s from "./store.js";
import { nameOf, state } from "./store.js";
import { t } from "./texts.js";

const chooser = $("chooser");
const choice = chooser.querySelector(".choice");
const chosen = () => [...choice.querySelectorAll("li:has(:checked)")].map(({ dataset }) => dataset.key);
choice.onchange = () => set(choice, { ".primary": { disabled: !chosen().length } });

/**
 * Let people be searched and chosen, but those of `without`; then `act(ids, title, isOpen)`.
 * With `isNamed` a title may be given.
 */
export function choosePeople({ heading, verb, without, isNamed = false }, act) {
  choice.reset();
  set(chooser, { h2: heading, ".people": "", ".naming": { hidden: !isNamed }, ".primary": verb });
  choice.onchange();
  onSearch(choice.elements.search, (text, isWanted) => search("users/", text, isWanted), ({ results, next }) => {
    const kept = chosen();
    const people = results.filter(({ user_id }) => !without.has(user_id));
    set(choice, { ".hint": people.length ? "" : t(next ? "chooser.no_one_yet" : "chooser.no_one") });
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

/** What a row with a person has: picture, name, username. */
export const namesOf = (person) => ({
  ".avatar": avatarOf(person),
  ".names bdi": nameOf(person),
  small: `@${person.username}${person.is_online ? ` · ${t("people.online")}` : ""}`,
});

$("new").onclick = startConversation;
export function startConversation() {
  const clientIds = {}; // by choice: submitted again after a lost answer, it starts nothing twice
  const without = new Set([state.me.user_id]);
  const asked = { heading: t("chooser.new"), verb: t("chooser.start"), without, isNamed: true };
  choosePeople(asked, async (participant_ids, title, isOpen) => {
    const pair = participant_ids.length === 1 && !title && pairWith(participant_ids[0]);
    const client_id = (clientIds[[...participant_ids, title]] ??= uuid());
    const { conversation_id: id } = pair || (await call("POST", "conversations/", { participant_ids, title, client_id }));
    if (isOpen()) location.hash = `#/c/${id}`;
  });
}

const clientIds = {}; // by person: asked for again after a lost answer, it starts nothing twice
/** Open the conversation with just this person, or start it. */
export async function talkTo(userId) {
  const client_id = (clientIds[userId] ??= uuid());
  const { conversation_id: id } = pairWith(userId) ?? (await call("POST", "conversations/", { participant_ids: [userId], client_id }));
  location.hash = `#/c/${id}`;
}

/** The untitled conversation with just this person, if there is one already. */
const pairWith = (userId) =>
  s.byActivity().find((conversation) => !conversation.title && s.partnerOf(conversation)?.user_id === userId);
