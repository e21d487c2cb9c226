/** Forms, searches, questions; and what went wrong. */
import { pause } from "./changes.js";
import { $, set } from "./draw.js";

/** Show a message, which the style sheet lets go; in the dialog on top, outside of which nothing is seen or heard. */
export function toast(text) {
  const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  top.append($("toast"));
  $("toast").textContent = text;
}

/** Do it; when it fails, say why and go on. True if it worked. */
export const attempt = (action) => action().then(() => true, ({ message }) => toast(message));
/** The error with which something ends, or null. */
export const errorOf = (doing) => doing.then(() => null, (error) => error);

/**
 * Let a field search as one types: `find(text, isWanted)`, then `draw` what was found, if
 * that is wanted yet: the same text is in the field, and it was not given another search.
 */
export function onSearch(field, find, draw) {
  const search = () =>
    attempt(async () => {
      const text = field.value;
      const isWanted = () => field.oninput === search && text === field.value;
      if (text) await pause(250); // until one stops typing
      if (!isWanted()) return;
      const found = await find(text.trim(), isWanted);
      if (isWanted()) draw(found);
    });
  field.oninput = search;
}

/** Ask; with a yes, do it. */
export function ask(question, verb, action) {
  const dialog = $("question");
  set(dialog, { h2: question, ".danger": verb });
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "yes" && attempt(action);
  dialog.showModal();
}

/**
 * Let a form do `action(fields, isOpen)`, once at a time. What the server refuses is said
 * in the form, with the field's label; the field is marked, and one is led to it. A form
 * of a dialog is given its action at each opening: what was begun in an earlier one, or in
 * a dialog closed meanwhile, leaves the form alone.
 */
export function onSubmit(form, action) {
  form.ariaBusy = null;
  showErrors(form, {});
  form.onsubmit = async function submit(event) {
    event.preventDefault();
    if (form.ariaBusy) return;
    form.ariaBusy = "true";
    const isOpen = () => form.onsubmit === submit && form.checkVisibility();
    const fields = Object.fromEntries(new FormData(form, event.submitter));
    const error = await errorOf(action(fields, isOpen));
    if (form.onsubmit === submit) form.ariaBusy = null;
    if (!isOpen()) return error && toast(error.message);
    showErrors(form, error ?? {});
    if (error) form.querySelector("[aria-invalid=true], [type=password]")?.focus();
  };
}

function showErrors(form, { fields = {}, message = "" }) {
  for (const input of form.querySelectorAll("input")) input.ariaInvalid = String(input.name in fields);
  const labelOf = (field) => form.elements[field]?.labels?.[0]?.textContent.trim() ?? field.replaceAll("_", " ");
  const lines = Object.entries(fields).map(([field, texts]) => `${labelOf(field)}: ${texts.join(" ")}`);
  form.querySelector(".error").textContent = lines.join("\n") || message;
}
