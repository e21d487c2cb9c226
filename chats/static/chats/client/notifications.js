/**
 * Desktop notifications of new messages, while the page is open somewhere and nobody looks at
 * it; and how the tab's icon shows that something is unread.
 */
import { on } from "./changes.js";
import { $ } from "./draw.js";
import { attempt } from "./forms.js";
import { nameOf, partnerOf, state, titleOf, unreadOf } from "./store.js";
import { t } from "./texts.js";
import { hasMouse } from "./timeline.js";

const DECLINED = "notifications declined"; // in localStorage: for good
const LONGEST = 200; // characters of a message
// Only pages over HTTPS and on localhost may notify; on a phone only installed ones.
const isPossible = () => "Notification" in window && Boolean(navigator.locks) && hasMouse();

// --- The offer -----------------------------------------------------------------------

on("message", offer);
on("own message", offer);

/** Offer them once somebody talks: then one sees what for. */
function offer() {
  $("offer").hidden = !isPossible() || Notification.permission !== "default" || Boolean(localStorage.getItem(DECLINED));
}

function closeOffer() {
  const hadFocus = $("offer").contains(document.activeElement);
  $("offer").hidden = true;
  if (hadFocus) $("search").focus();
}

$("notify").onclick = () =>
  attempt(async () => {
    await Notification.requestPermission();
    closeOffer();
  });
$("decline").onclick = () => {
  localStorage.setItem(DECLINED, "yes");
  closeOffer();
};

// --- Which tab notifies ----------------------------------------------------------------

const LOOKING = "looking"; // the lock that each tab shares while somebody looks at it
let isNotifier = false; // one tab of all that are open is, the one with the lock
let stopLooking = () => {};

const isLookedAt = () => !document.hidden && document.hasFocus();
const nameOfLock = (kind) => `${kind} of ${state.me.user_id}`;

function look() {
  stopLooking();
  if (!isLookedAt()) return;
  const until = new Promise((stop) => (stopLooking = stop));
  navigator.locks.request(nameOfLock(LOOKING), { mode: "shared" }, () => until);
}

on("begin", () => {
  if (!isPossible()) return;
  navigator.locks.request(nameOfLock("notifications"), () => {
    isNotifier = true;
    return new Promise(() => {}); // until the page is left
  });
  look();
  for (const type of ["focus", "blur"]) addEventListener(type, look);
  document.addEventListener("visibilitychange", look);
});

// --- The notifications -----------------------------------------------------------------

const shown = new Map(); // conversation_id -> its notification

on("message", async ({ conversation, message }) => {
  if (!isNotifier || Notification.permission !== "granted") return;
  const { held } = await navigator.locks.query();
  if (!held.some(({ name }) => name === nameOfLock(LOOKING))) show(conversation, message);
});

/** A new notification takes the place of the conversation's older one. */
function show(conversation, { sender, message_body }) {
  const { conversation_id: id } = conversation;
  const text = [...message_body].slice(0, LONGEST).join("");
  const body = partnerOf(conversation) ? text : t("notifications.text", { name: nameOf(sender), text });
  const notification = new Notification(titleOf(conversation), { body, tag: id, renotify: true });
  notification.onclick = () => {
    focus();
    location.hash = `#/c/${id}`;
    notification.close();
  };
  shown.set(id, notification);
}

/** What is read needs no notification any more. */
on("change", () => {
  for (const [id, notification] of shown) {
    const conversation = state.conversations.get(id);
    if (conversation && unreadOf(conversation) > 0) continue;
    notification.close();
    shown.delete(id);
  }
});

// --- The tab's icon --------------------------------------------------------------------

const icon = document.querySelector("link[rel=icon]");
const plain = icon.href;
const DOT = "%3Ccircle cx='24' cy='8' r='8' fill='%23d93025'/%3E";
const dotted = plain.replace("%3C/svg%3E", `${DOT}%3C/svg%3E`);

on("change", () => {
  const isUnread = [...state.conversations.values()].some((conversation) => unreadOf(conversation) > 0);
  const wanted = isUnread ? dotted : plain;
  if (icon.href !== wanted) icon.href = wanted;
});
