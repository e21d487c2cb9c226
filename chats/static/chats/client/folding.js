/** Long messages, of which the beginning is shown until one asks for the rest. */
import { t } from "./texts.js";

const MOST = 25; // lines
const WIDTH = 60; // characters, about, of a line
const unfolded = new Set(); // message_id of those that one asked for

const isLong = (text) => text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / WIDTH)), 0) > MOST;

/** The parts of a message's element that fold it, as `set` takes them. */
export function folding({ message_id: id }, text) {
  const isFoldable = text.length > MOST && isLong(text);
  return {
    ".body": (body) => body.classList.toggle("folded", isFoldable && !unfolded.has(id)),
    ".fold": (button) => {
      button.hidden = !isFoldable;
      if (isFoldable) label(button, id);
      button.onclick = () => toggle(button, id);
    },
  };
}

function label(button, id) {
  const isUnfolded = unfolded.has(id);
  button.textContent = t(isUnfolded ? "markdown.less" : "markdown.more");
  button.ariaExpanded = String(isUnfolded);
}

function toggle(button, id) {
  if (!unfolded.delete(id)) unfolded.add(id);
  label(button, id);
  const bubble = button.closest(".bubble");
  bubble.querySelector(".body").classList.toggle("folded", !unfolded.has(id));
  if (!unfolded.has(id)) button.scrollIntoView({ block: "nearest" }); // what was read is above it
}
