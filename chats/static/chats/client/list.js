/** The list of conversations, and what a search finds. */
import { changed, on, pause } from "./changes.js";
import { talkTo } from "./chooser.js";
import { $, avatarOf, item, pictureOf, rectOf, set, show } from "./draw.js";
import { attempt, errorOf, onSearch } from "./forms.js";
import { excerptOf } from "./markdown.js";
import { showMatches } from "./matches.js";
import { addAction, aim, hasActions, openMenu } from "./menus.js";
import * as s from "./store.js";
import { isMe, nameOf, partnerOf, shortNameOf, state, titleOf, unreadOf } from "./store.js";
import { t } from "./texts.js";
import { shortly, timed } from "./times.js";
import { onLongPress } from "./touch.js";

let found = null; // by the search: {text, ids, people, messages}

// The end of the list comes near: more is loaded, as long as that is so.
const end = new IntersectionObserver(loadMore, { root: $("conversations"), rootMargin: "400px" });
end.observe($("more"));
async function loadMore([{ isIntersecting }]) {
  if (!isIntersecting || !state.nextConversations) return;
  if (await errorOf(s.loadConversations(state.nextConversations))) await pause(5_000);
  end.unobserve($("more"));
  end.observe($("more")); // it tells where this is now
}

onSearch($("search"), (text, isWanted) => (text ? s.searchAll(text, isWanted) : null), (answer) => {
  found = answer;
  changed();
});

on("change", draw);
function draw() {
  const conversations = s.byActivity().filter(({ conversation_id: id }) => !found || found.ids.includes(id));
  const hits = found?.messages ?? [];
  const people = found?.people ?? [];
  inPlace(() => show($("list"), conversations.map(entry)));
  show($("found-people"), people.map(personHit));
  show($("hits"), hits.map(hit));
  $("more").hidden = Boolean(found) || !state.nextConversations;
  let nothing = t(state.isLoaded ? "list.none" : "list.loading");
  if (found) nothing = t(found.isAll ? "list.nothing_found" : "list.nothing_found_yet", { text: found.text });
  set($("conversations"), { "#nothing": conversations.length || people.length || hits.length ? "" : nothing });
}

/** Draw; what one has scrolled to stays where it is, though other entries move to the top. */
function inPlace(draw) {
  const scroller = $("conversations");
  const { top, bottom } = rectOf(scroller);
  const isSeen = (rect) => rect.bottom > top && rect.top < bottom;
  const before = scroller.scrollTop ? [...$("list").children].map((each) => [each, rectOf(each)]).filter(([, rect]) => isSeen(rect)) : [];
  draw();
  const moves = before.filter(([each]) => each.isConnected).map(([each, rect]) => rectOf(each).top - rect.top);
  if (moves.length) scroller.scrollTop += moves.reduce((least, move) => (Math.abs(move) < Math.abs(least) ? move : least));
}

function entry(conversation) {
  const { conversation_id: id, updated_at: time, typing } = conversation;
  const unread = unreadOf(conversation);
  return item(id, "entry", {
    a: { href: `#/c/${id}`, ariaCurrent: id === state.wanted ? "page" : null },
    ".avatar": pictureOf(conversation),
    ".title bdi": (title) => showMatches(title, titleOf(conversation), found?.text),
    ".options": { hidden: !hasActions("conversation", conversation), onclick: ({ currentTarget }) => aim("conversation", conversation, currentTarget) },
    ".status": partnerOf(conversation)?.is_online ? `, ${t("people.online")}` : "",
    time: timed(time, shortly(time)),
    ".preview": { className: typing.size ? "preview typing" : "preview" },
    ...previewOf(conversation),
    ".badge": { hidden: unread < 1 }, // what is read may be told before it is known
    ".badge b": String(unread),
  });
}

function previewOf({ last_message: last, participant_count, typing }) {
  if (typing.size || !last) return { ".author": "", ".excerpt": t(typing.size ? "list.typing" : "list.no_messages") };
  const author = isMe(last.sender.user_id) ? t("people.you") : participant_count === 2 ? "" : shortNameOf(last.sender);
  return { ".author": author, ".excerpt": excerptOf(s.textOf(last)) };
}

function hit(message) {
  const { message_id, conversation: id, seq, sender, sent_at: time } = message;
  const conversation = state.conversations.get(id);
  return item(message_id, "entry", {
    a: { href: `#/c/${id}/${seq}` },
    ".avatar": avatarOf(sender),
    ".title bdi": conversation ? titleOf(conversation) : nameOf(sender),
    time: timed(time, shortly(time)),
    ".author": isMe(sender.user_id) ? t("people.you") : nameOf(sender),
    ".excerpt": (excerpt) => showMatches(excerpt, excerptOf(s.textOf(message)), found.text),
  });
}

function personHit(person) {
  return item(person.user_id, "person-hit", {
    button: { onclick: () => attempt(() => talkTo(person.user_id)) },
    ".avatar": avatarOf(person),
    ".title bdi": (name) => showMatches(name, nameOf(person), found.text),
    ".excerpt": (username) => showMatches(username, `@${person.username}`, found.text),
  });
}

// --- What can be done with a conversation --------------------------------------------

addAction("conversation", { name: "read", icon: "check", isFor: (conversation) => unreadOf(conversation) > 0, act: (conversation) => attempt(() => s.markAllRead(conversation)) });

/** Open the menu of the entry that an event is about, if it is about one; the entry is the one that the menu is of. */
function openMenuAt({ target }, event) {
  const element = target.closest("li");
  const conversation = state.conversations.get(element?.dataset.key);
  if (!conversation || !hasActions("conversation", conversation)) return false;
  openMenu("conversation", conversation, element, event);
  return true;
}
// The keyboard's menu key has no place of its own.
$("list").oncontextmenu = (event) => openMenuAt(event, event.button === 2 ? event : undefined) && event.preventDefault();
onLongPress($("list"), (event) => openMenuAt(event, event));
