/** The list of conversations, and what a search finds. */
import { changed, on } from "./changes.js";
import { $, avatarOf, item, pictureOf, set, show } from "./draw.js";
import { attempt, onSearch } from "./forms.js";
import { excerptOf } from "./markdown.js";
import * as s from "./store.js";
import { isMe, nameOf, partnerOf, shortNameOf, state, titleOf, unreadOf } from "./store.js";
import { t } from "./texts.js";
import { shortly, timed } from "./times.js";

let found = null; // by the search: {text, ids, messages}

$("more").onclick = () => attempt(() => s.loadConversations(state.nextConversations));
onSearch($("search"), (text, isWanted) => (text ? s.searchAll(text, isWanted) : null), (answer) => {
  found = answer;
  changed();
});

on("change", draw);
function draw() {
  const conversations = s.byActivity().filter(({ conversation_id: id }) => !found || found.ids.includes(id));
  const hits = found?.messages ?? [];
  show($("list"), conversations.map(entry));
  show($("hits"), hits.map(hit));
  $("more").hidden = Boolean(found) || !state.nextConversations;
  let nothing = t(state.isLoaded ? "list.none" : "list.loading");
  if (found) nothing = t(found.isAll ? "list.nothing_found" : "list.nothing_found_yet", { text: found.text });
  set($("conversations"), { "#nothing": conversations.length || hits.length ? "" : nothing });
}

function entry(conversation) {
  const { conversation_id: id, updated_at: time, typing } = conversation;
  const unread = unreadOf(conversation);
  return item(id, "entry", {
    a: { href: `#/c/${id}`, ariaCurrent: id === state.wanted ? "page" : null },
    ".avatar": pictureOf(conversation),
    ".title bdi": titleOf(conversation),
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
  const { message_id, conversation, seq, sender, sent_at: time } = message;
  return item(message_id, "entry", {
    a: { href: `#/c/${conversation}/${seq}` },
    ".avatar": avatarOf(sender),
    ".title bdi": nameOf(sender),
    time: timed(time, shortly(time)),
    ".excerpt": excerptOf(s.textOf(message)),
  });
}
