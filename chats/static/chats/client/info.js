/** What there is to know about a message: its exact times, and who has read it. */
import { on } from "./changes.js";
import { namesOf } from "./chooser.js";
import { $, item, set, show } from "./draw.js";
import { addAction } from "./menus.js";
import { openConversation, othersOf, readersOf } from "./store.js";
import { exactly } from "./times.js";

let told = null; // the message

/** Show it; what is read meanwhile is shown, too. */
export function tellOf(message) {
  told = message;
  draw();
  $("details").showModal();
}
addAction("message", { name: "info", icon: "info", isFor: () => true, act: tellOf });
on("tell of message", tellOf);
on("change", () => $("details").open && draw());

function draw() {
  const conversation = openConversation();
  if (!conversation) return;
  const { seq, sender, sent_at, edited_at, deleted_at } = told;
  const isAnothers = ({ user_id }) => user_id !== sender.user_id;
  const readers = readersOf(conversation, seq).filter(isAnothers);
  const rest = othersOf(conversation).filter((person) => isAnothers(person) && !readers.includes(person));
  for (const [name, time] of Object.entries({ sent: sent_at, edited: edited_at, deleted: deleted_at })) {
    set($("details"), { [`.${name}`]: { hidden: !time }, [`.${name} time`]: time ? { dateTime: time, textContent: exactly(time) } : {} });
  }
  list("read", readers);
  list("unread", rest);
}

/** List people below a heading; neither, where there are none. */
function list(name, people) {
  set($("details"), { [`.${name}`]: { hidden: !people.length } });
  show($("details").querySelector(`.${name} .people`), people.map((person) => item(person.user_id, "reader", namesOf(person))));
}
