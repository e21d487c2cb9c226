/** Windows above the page: starting a conversation, its people. Loaded when needed. */
import { call, notices, search } from "./api.js";
import { countOf, isMe, nameOf, state, titleOf } from "./state.js";
import { $, ask, attempt, avatarOf, set, show, soon } from "./views.js";

// --- Choosing people --------------------------------------------------------------

let opening; // the latest one's choice: what is found or done for an earlier one is too late

/** Let people be searched and chosen, but those of `without`; then `act(ids, title)`, called by `verb`, and close. */
function choosePeople(heading, verb, without, act) {
  const dialog = $("chooser");
  if (dialog.open) return; // a button was pressed twice
  const form = dialog.querySelector(".choice");
  const { search: field, title } = form.elements;
  const button = form.querySelector(".primary");
  const chosen = (opening = new Set());
  form.reset();
  set(dialog, { h2: heading, ".people": "", ".naming": { hidden: verb !== "Start" } });
  Object.assign(button, { textContent: verb, disabled: true });
  dialog.showModal();
  field.oninput = soon(find);
  attempt(find);
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    const hasWorked = await attempt(() => act([...chosen], title.value));
    if (opening !== chosen) return;
    if (hasWorked) dialog.close();
    button.disabled = !chosen.size;
  };

  async function find() {
    const text = field.value;
    const isWanted = () => text === field.value && opening === chosen; // else something else is searched by now
    const { results, next } = await search("users/", text.trim(), isWanted);
    if (!isWanted()) return;
    const people = results.filter(({ user_id }) => !without.has(user_id));
    set(dialog, { ".hint": people.length ? "" : next ? "Nobody found so far." : "Nobody found." });
    show(dialog.querySelector(".people"), people.map(choice));
  }

  function choice(person) {
    const { user_id } = person;
    const onchange = ({ target }) => {
      if (target.checked) chosen.add(user_id);
      else chosen.delete(user_id);
      button.disabled = !chosen.size;
    };
    const parts = { input: { onchange, checked: chosen.has(user_id) }, ...namesOf(person) };
    return { key: user_id, template: "choice", parts };
  }
}

const namesOf = (person) => ({
  ".avatar": avatarOf(person),
  ".names bdi": nameOf(person),
  small: `@${person.username}${person.is_online ? " · online" : ""}`,
});

export function startConversation() {
  choosePeople("New conversation", "Start", new Set([state.me.user_id]), async (participant_ids, title) => {
    const pair = participant_ids.length === 1 && !title && pairWith(participant_ids[0]);
    const { conversation_id: id } = pair || (await call("POST", "conversations/", { participant_ids, title }));
    location.hash = `#/c/${id}`;
  });
}

/** The untitled conversation with just this person, if there is one already. */
const pairWith = (userId) =>
  [...state.conversations.values()].find(
    ({ participant_count, title, read }) => participant_count === 2 && !title && read.has(userId));

// --- The people of a conversation ---------------------------------------------------

const settings = $("settings");
let managed = ""; // the conversation_id

export function manageConversation(id) {
  const conversation = state.conversations.get(id);
  managed = id;
  set(settings, { input: { value: conversation.title, placeholder: titleOf(conversation) } });
  draw();
  settings.showModal();
}

notices.addEventListener("change", () => settings.open && draw());

function draw() {
  const conversation = state.conversations.get(managed);
  if (!conversation) return settings.close();
  const { owner, read } = conversation;
  const people = [...read.keys()].map((userId) => state.people.get(userId) ?? state.me);
  set(settings, { h3: countOf(conversation) });
  show(settings.querySelector(".people"), people.map((person) => participant(person, owner)));
}

function participant(person, owner) {
  const { user_id } = person;
  const label = `Remove ${nameOf(person)}`;
  const onclick = async () => {
    if (await ask(`${label} from this conversation?`, "Remove")) remove(user_id);
  };
  const button = { hidden: !isMe(owner) || isMe(user_id), ariaLabel: label, title: label, onclick };
  const parts = { ...namesOf(person), ".hint": owner === user_id ? "owner" : "", button };
  return { key: user_id, template: "participant", parts };
}

const remove = (user_id) => attempt(() => call("POST", `conversations/${managed}/remove_participant/`, { user_id }));

settings.querySelector(".rename").onsubmit = (event) => {
  event.preventDefault();
  const { title } = event.target.elements;
  attempt(() => call("PATCH", `conversations/${managed}/`, { title: title.value }));
};
$("add").onclick = () => {
  const { read } = state.conversations.get(managed);
  choosePeople("Add people", "Add", read, async (ids) => {
    for (const user_id of ids) await call("POST", `conversations/${managed}/add_participant/`, { user_id });
  });
};
$("leave").onclick = async () => {
  if (await ask("Leave this conversation?", "Leave")) remove(state.me.user_id);
};
