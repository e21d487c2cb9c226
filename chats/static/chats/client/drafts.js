/** What is being written in each conversation. It outlives the same as the outbox, as far as that is bounded. */
import { on } from "./changes.js";
import { store, stored } from "./storage.js";

let drafts = new Map(); // conversation_id -> {text, edit}; `edit` is {message_id, text}, or null
on("begin", () => (drafts = new Map(stored("drafts"))));
on("forget", () => drafts.clear());
on("dropped", (id) => keepDraft(id, {}));

const MOST_DRAFTS = 20;
const LONGEST_DRAFT = 20_000; // characters, twice what can be sent

export const draftOf = (id) => drafts.get(id) ?? { text: "", edit: null };

/** Keep what is being written in a conversation: a message, the new words of another, or nothing. */
export function keepDraft(id, { text = "", edit = null }) {
  drafts.delete(id); // the last one written comes last
  if (text || edit) drafts.set(id, { text, edit });
  const shortened = (_, value) => (typeof value === "string" ? value.slice(0, LONGEST_DRAFT) : value);
  store("drafts", [...drafts].slice(-MOST_DRAFTS), shortened);
}
