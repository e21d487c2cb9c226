/** Windows above the page: starting a conversation, its people, questions. Loaded when needed. */
import { call, get } from "./api.js";
import { attempt, avatar, bdi, h, iconButton, reconcile } from "./dom.js";
import { isMe, nameOf, onChange, state, titleOf } from "./state.js";

const DELAY = 250;

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
    const yes = h("button", { type: "button", class: "danger", onclick: () => dialog.close("yes") }, action);
    const no = h("button", { type: "button", class: "plain", autofocus: true, onclick: () => dialog.close() }, "Cancel");
    const dialog = openDialog(question, h("p", { class: "row end" }, no, yes));
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"));
  });
}

/** A field that searches people, above a list of what `itemOf(person)` makes of each. */
function peopleSearch(itemOf) {
  let found = [], timer;
  const list = h("ul", { class: "people" });
  const note = h("p", { class: "hint", role: "status" });
  const input = h("input", { type: "search", "aria-label": "Search people", placeholder: "Name or username", autofocus: true, oninput: searchSoon });
  function searchSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(search), DELAY);
  }
  async function search() {
    const text = input.value.trim();
    const { results } = await get("users/", { search: text, page_size: 20 });
    if (text !== input.value.trim()) return;
    found = results.filter((person) => !isMe(person.user_id));
    note.textContent = found.length ? "" : "Nobody found.";
    draw();
  }
  function draw() {
    reconcile(list, found.map(itemOf));
  }
  attempt(search);
  return { elements: [input, note, list], draw };
}

const personLine = (person) => [avatar(person.user_id, nameOf(person), { isOnline: person.is_online }),
  h("span", { class: "names" }, bdi(nameOf(person)), h("small", {}, `@${person.username}${person.is_online ? " · online" : ""}`))];

// --- Starting ------------------------------------------------------------------------

export function startConversation() {
  const chosen = new Map();
  const title = h("input", { maxlength: 200 });
  const titleLine = h("label", { hidden: true }, "Title, if you like", title);
  const button = h("button", { class: "primary", disabled: true }, "Start");
  const choose = (person, isChosen) => {
    isChosen ? chosen.set(person.user_id, person) : chosen.delete(person.user_id);
    button.disabled = !chosen.size;
    button.textContent = chosen.size > 1 ? `Start with ${chosen.size} people` : "Start";
    titleLine.hidden = chosen.size < 2;
  };
  const people = peopleSearch((person) => ({
    key: person.user_id,
    from: [person],
    build: () => {
      const box = h("input", { type: "checkbox", checked: chosen.has(person.user_id), onchange: () => choose(person, box.checked) });
      return h("li", {}, h("label", {}, box, personLine(person)));
    },
  }));
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    attempt(create);
  } }, ...people.elements, titleLine, h("p", { class: "row end" }, button));
  const dialog = openDialog("New conversation", form);

  async function create() {
    const [first] = chosen.keys();
    const pair = chosen.size === 1 && !title.value && pairWith(first);
    const { conversation_id } = pair || (await call("POST", "conversations/", { participant_ids: [...chosen.keys()], title: title.value }));
    dialog.close();
    location.hash = `#/c/${conversation_id}`;
  }
}

/** The untitled conversation with just this person, if there is one already. */
function pairWith(userId) {
  return [...state.conversations.values()].find(
    (conversation) => conversation.participant_count === 2 && !conversation.title && conversation.read.has(userId));
}

// --- Its people ------------------------------------------------------------------------

export function manageConversation(id) {
  const path = `conversations/${id}/`;
  const conversation = () => state.conversations.get(id);
  const title = h("input", { maxlength: 200, value: conversation().title, placeholder: titleOf(conversation()) });
  const rename = h("form", { class: "row", onsubmit: (event) => {
    event.preventDefault();
    attempt(() => call("PATCH", path, { title: title.value }));
  } }, h("label", {}, "Title", title), h("button", { class: "plain" }, "Rename"));
  const heading = h("h3", {});
  const list = h("ul", { class: "people" });
  const adding = h("div", { hidden: true });
  const add = h("button", { type: "button", class: "plain", onclick: showSearch }, "Add people");
  const end = h("p", { class: "row end" },
    h("button", { type: "button", class: "danger", onclick: leave }, "Leave"),
    isMe(conversation().owner) && h("button", { type: "button", class: "danger", onclick: remove }, "Delete for everybody"));
  const dialog = openDialog("People and settings", rename, heading, list, add, adding, end);
  dialog.addEventListener("close", onChange(draw));
  let found; // the search, once it is shown
  draw();

  function draw() {
    if (!conversation()) {
      dialog.close();
      return;
    }
    const { owner, participant_count: count, read } = conversation();
    heading.textContent = count === 1 ? "Only you" : `${count} people`;
    const mayRemove = isMe(owner);
    reconcile(list, [...read.keys()].map((userId) => {
      const person = state.people.get(userId) ?? state.me;
      return { key: userId, from: [person, owner === userId, mayRemove], build: () => line(person, owner, mayRemove) };
    }));
    found?.draw();
  }

  function line(person, owner, mayRemove) {
    const name = nameOf(person);
    return h("li", {}, personLine(person), owner === person.user_id && h("span", { class: "hint" }, "owner"),
      mayRemove && !isMe(person.user_id) && iconButton("close", `Remove ${name}`, async () => {
        if (await confirm(`Remove ${name} from this conversation?`, "Remove")) changePeople("remove", person.user_id);
      }));
  }

  function showSearch() {
    add.hidden = true;
    adding.hidden = false;
    found = peopleSearch((person) => {
      const isIn = conversation().read.has(person.user_id);
      const build = () => h("li", {}, personLine(person),
        h("button", { type: "button", class: "plain", disabled: isIn, "aria-label": `Add ${nameOf(person)}`, onclick: () => changePeople("add", person.user_id) }, isIn ? "Is in" : "Add"));
      return { key: person.user_id, from: [person, isIn], build };
    });
    adding.replaceChildren(...found.elements);
    found.elements[0].focus();
  }

  function changePeople(what, user_id) {
    return attempt(() => call("POST", `${path}${what}_participant/`, { user_id }));
  }
  async function leave() {
    if (!(await confirm("Leave this conversation?", "Leave"))) return;
    if (await changePeople("remove", state.me.user_id)) location.hash = "#/";
  }
  async function remove() {
    if (!(await confirm("Delete this conversation with all messages, for everybody?", "Delete"))) return;
    if (await attempt(() => call("DELETE", path))) location.hash = "#/";
  }
}
