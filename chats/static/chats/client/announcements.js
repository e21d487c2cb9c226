/** What is said outside of the conversation: the title of the page, and new messages to screen readers. */
import { on } from "./changes.js";
import { $ } from "./draw.js";
import { excerptOf } from "./markdown.js";
import { nameOf, state, titleOf, unreadOf } from "./store.js";
import { t } from "./texts.js";

on("change", () => {
  const unread = [...state.conversations.values()].filter((conversation) => unreadOf(conversation) > 0).length;
  document.title = unread ? t("app.title_unread", { count: unread }) : t("app.title");
});

on("message", ({ conversation, message: { sender, message_body } }) => {
  const isOpen = conversation.conversation_id === state.wanted;
  const said = { name: nameOf(sender), title: titleOf(conversation), text: excerptOf(message_body, 300) };
  $("announcer").textContent = t(isOpen ? "messages.announced" : "messages.announced_elsewhere", said);
});
