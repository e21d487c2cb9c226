/** Whether events arrive; said when they do not for a while. */
import { changed, on } from "./changes.js";
import { $ } from "./draw.js";
import * as s from "./store.js";
import { state } from "./store.js";
import { Stream } from "./stream.js";
import { t } from "./texts.js";

const PATIENCE = 2_500; // milliseconds without a stream before it is worth a word
let telling;

on("begin", () => new Stream(state.me.user_id, { types: s.types, handle: s.handle, status }).start());

/** The stream is there, or is not: said at each attempt to get it back. */
function status(isLive) {
  if (isLive === state.isLive) return;
  state.isLive = isLive;
  if (isLive) s.loadConversations().catch(() => {}); // who is online is told live only, and was missed
  if (isLive && state.wanted && !state.timeline) s.open(state.wanted, state.target).catch(() => {}); // sooner than the next try
  clearTimeout(telling);
  telling = setTimeout(() => ($("offline").textContent = state.isLive ? "" : t("errors.offline")), isLive ? 0 : PATIENCE);
  changed();
}
