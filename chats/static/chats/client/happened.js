/**
 * What happened in conversations besides messages: who came and went, a new title or owner.
 *
 * The server's log cannot be asked for one conversation or for what came before a cursor, so
 * these are the events that arrived while a tab was open; they outlive the same as the outbox.
 */
import { changed, on } from "./changes.js";
import { isMe, nameOf, state } from "./store.js";
import { store, stored } from "./storage.js";
import { t } from "./texts.js";

const MOST = 200; // of all conversations
let happened = []; // {id, conversation_id, time, what, actor, name, title}

on("begin", () => (happened = stored("happened")));
on("forget", () => (happened = []));
on("dropped", (id) => keep(happened.filter(({ conversation_id }) => conversation_id !== id)));

function keep(items) {
  happened = items.slice(-MOST);
  store("happened", happened);
  changed();
}

/** What happened in a conversation, in order. */
export const happenedIn = ({ conversation_id: id }) => happened.filter((item) => item.conversation_id === id);

/** What an event says that is not in the state yet, by its type. */
const deeds = {
  "participant.added": ({ participant }) => [{ what: "added", person: participant }],
  "participant.removed": ({ actor_id, participant }) => [
    { what: participant.user_id === actor_id ? "left" : "removed", person: participant },
  ],
  "conversation.updated"({ conversation: { title, owner } }, before) {
    const isRenamed = before && before.title !== title;
    const isHandedOver = before && owner && before.owner !== owner;
    return [
      ...(isRenamed ? [{ what: title ? "renamed" : "untitled", title }] : []),
      ...(isHandedOver ? [{ what: "owner", person: state.people.get(owner) ?? { user_id: owner } }] : []),
    ];
  },
};

// conversation_id -> title and owner as events have told of them: when somebody leaves, what is loaded then is ahead
const told = new Map();

on("event", ({ type, data, conversation }) => {
  if (type === "ready" || type === "reset") told.clear();
  if (!(type in deeds)) return;
  const { id: event, conversation_id, created_at: time, actor_id } = data;
  const before = told.get(conversation_id) ?? conversation;
  const { title, owner } = type === "conversation.updated" ? data.conversation : (before ?? {});
  told.set(conversation_id, before && { title, owner });
  if (happened.some((item) => item.event === event)) return;
  const items = deeds[type](data, before).map(({ what, person, title }) => ({
    event, conversation_id, time, what, title,
    actor: calledBy(state.people.get(actor_id), actor_id),
    name: calledBy(person, person?.user_id),
  }));
  if (items.length) keep([...happened, ...items]);
});

/** A name; "" for me, null for somebody unknown. */
const calledBy = (person, id) => (id && isMe(id) ? "" : person?.username ? nameOf(person) : null);

const texts = {
  added: ({ actor, name }) =>
    actor === "" ? t("happened.you_added", { name }) : name === "" ? t("happened.added_you", { actor }) : t("happened.added", { actor, name }),
  removed: ({ actor, name }) => (actor === "" ? t("happened.you_removed", { name }) : t("happened.removed", { actor, name })),
  left: ({ name }) => t("happened.left", { name }),
  renamed: ({ actor, title }) => (actor === "" ? t("happened.you_renamed", { title }) : t("happened.renamed", { actor, title })),
  untitled: ({ actor }) => (actor === "" ? t("happened.you_untitled") : t("happened.untitled", { actor })),
  owner: ({ name }) => (name === "" ? t("happened.you_own") : t("happened.owns", { name })),
};

/** What happened, as text. */
export function sentenceOf({ what, actor, name, title }) {
  const someone = t("happened.someone");
  return texts[what]({ actor: actor ?? someone, name: name ?? someone, title });
}
