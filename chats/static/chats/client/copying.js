/** Copying a message's text, or the link to it. */
import { toast } from "./forms.js";
import { addAction } from "./menus.js";
import { t } from "./texts.js";

/** Pages over plain HTTP have no clipboard: there the browser's own command copies. */
function writeToClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const put = (event) => {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("copy", put, { capture: true, once: true });
  document.execCommand("copy");
  document.removeEventListener("copy", put, { capture: true });
}

async function copy(text) {
  try {
    await writeToClipboard(text);
    toast(t("message.copied"));
  } catch {
    toast(t("message.not_copied"));
  }
}

const linkTo = ({ conversation, seq }) => new URL(`#/c/${conversation}/${seq}`, location.href).href;
addAction("message", { name: "copy", icon: "copy", isFor: ({ deleted_at }) => !deleted_at, act: ({ message_body }) => copy(message_body) });
addAction("message", { name: "link", icon: "link", isFor: () => true, act: (message) => copy(linkTo(message)) });
