/** Windows above the page: questions, starting a conversation, its people. Loaded when needed. */
import { call, get } from "./api.js";
import { isMe, nameOf, notices, state, titleOf } from "./state.js";
import { attempt, avatar, bdi, h, iconButton, reconcile, soon, textButton } from "./views.js";

/** Open a modal dialog, which gives the focus back when it closes. */
function openDialog(title, ...content) {
  const dialog = h("dialog", { "aria-label": title },
    h("header", {}, h("h2", {}, title), iconButton("close", "Close", () => dialog.close())),
    ...content);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask; whether the answer was yes. */
export function confirm(question, action) {
  return new Promise((answer) => {
    const yes = textButton("danger", action, () => dialog.close("yes"));
    const no = textButton("plain", "Cancel", () => dialog.close());
    const dialog = openDialog(question, h("p", { class: "row end" }, no, yes));
    no.focus();
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"));
  });
}

function personLine(person) {
  const { user_id, username, is_online } = person;
  const about = h("small", {}, `@${username}${is_online ? " · online" : ""}`);
  return [avatar(user_id, nameOf(person), { isOnline: is_online }), h("span", { class: "names" }, bdi(nameOf(person)), about)];
}

/** Let people be searched and chosen, but those of `without`; then `act(ids)`, called by `verb`, and close. */
function choosePeople(title, verb, without, act, ...fields) {
  const chosen = new Map();
  const list = h("ul", { class: "people" });
  const note = h("p", { class: "hint", role: "status" });
  const search = h("input", { type: "search", "aria-label": "Search people", placeholder: "Name or username", oninput: soon(find) });
  const button = h("button", { class: "primary", disabled: true }, verb);
  const form = h("form", {}, search, note, list, ...fields, h("p", { class: "row end" }, button));
  const dialog = openDialog(title, form);
  search.focus();
  attempt(find);
  form.onsubmit = (event) => {
    event.preventDefault();
    attempt(() => act([...chosen.keys()])).then((hasWorked) => hasWorked && dialog.close());
  };

  async function find() {
    const text = search.value;
    const { results } = await get("users/", { search: text.trim(), page_size: 20 });
    if (text !== search.value) return; // something else is searched by now
    const people = results.filter(({ user_id }) => !without.has(user_id));
    note.textContent = people.length ? "" : "Nobody found.";
    reconcile(list, people.map((person) => ({ key: person.user_id, from: [person], build: () => choice(person) })));
  }

  function choice(person) {
    const box = h("input", { type: "checkbox", onchange: () => {
      if (box.checked) chosen.set(person.user_id, person);
      else chosen.delete(person.user_id);
      button.disabled = !chosen.size;
      button.textContent = chosen.size > 1 ? `${verb} (${chosen.size})` : verb;
    } });
    box.checked = chosen.has(person.user_id);
    return h("li", {}, h("label", {}, box, personLine(person)));
  }
}

export function startConversation() {
  const title = h("input", { maxlength: 200 });
  const field = h("label", {}, "Title, if you like", title);
  choosePeople("New conversation", "Start", new Set([state.me.user_id]), async (participant_ids) => {
    const pair = participant_ids.length === 1 && !title.value && pairWith(participant_ids[0]);
    const { conversation_id } = pair || (await call("POST", "conversations/", { participant_ids, title: title.value }));
    location.hash = `#/c/${conversation_id}`;
  }, field);
}

/** The untitled conversation with just this person, if there is one already. */
const pairWith = (userId) =>
  [...state.conversations.values()].find(
    ({ participant_count, title, read }) => participant_count === 2 && !title && read.has(userId));

export function manageConversation(id) {
  const path = `conversations/${id}/`;
  const conversation = () => state.conversations.get(id);
  const title = h("input", { maxlength: 200, value: conversation().title, placeholder: titleOf(conversation()) });
  const rename = h("form", { class: "row" }, h("label", {}, "Title", title), h("button", { class: "plain" }, "Rename"));
  rename.onsubmit = (event) => {
    event.preventDefault();
    attempt(() => call("PATCH", path, { title: title.value }));
  };
  const heading = h("h3", {});
  const list = h("ul", { class: "people" });
  const dialog = openDialog("People and settings", rename, heading, list,
    h("p", { class: "row end" },
      textButton("plain", "Add people", () => choosePeople("Add people", "Add", conversation().read, add)),
      textButton("danger", "Leave", leave),
      isMe(conversation().owner) && textButton("danger", "Delete for everybody", remove)));
  notices.addEventListener("change", draw);
  dialog.addEventListener("close", () => notices.removeEventListener("change", draw));
  draw();

  function draw() {
    if (!conversation()) return dialog.close();
    const { owner, participant_count: count, read } = conversation();
    heading.textContent = count === 1 ? "Only you" : `${count} people`;
    reconcile(list, [...read.keys()].map((userId) => {
      const person = state.people.get(userId) ?? state.me;
      return { key: userId, from: [person, owner], build: () => line(person, owner) };
    }));
  }

  function line(person, owner) {
    const label = `Remove ${nameOf(person)}`;
    const ask = async () => {
      if (await confirm(`${label} from this conversation?`, "Remove")) change("remove", person.user_id);
    };
    return h("li", {}, personLine(person),
      owner === person.user_id && h("span", { class: "hint" }, "owner"),
      isMe(owner) && !isMe(person.user_id) && iconButton("close", label, ask));
  }

  const change = (what, user_id) => attempt(() => call("POST", `${path}${what}_participant/`, { user_id }));
  async function add(ids) {
    for (const user_id of ids) await call("POST", `${path}add_participant/`, { user_id });
  }
  async function leave() {
    if (!(await confirm("Leave this conversation?", "Leave"))) return;
    if (await change("remove", state.me.user_id)) location.hash = "#/";
  }
  async function remove() {
    if (!(await confirm("Delete this conversation with all messages, for everybody?", "Delete"))) return;
    if (await attempt(() => call("DELETE", path))) location.hash = "#/";
  }
}
