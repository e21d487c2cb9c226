/** The settings: profile, password, export and deletion of the account. What other modules show there they add by the notice "settings". */
import { call, download } from "./api.js";
import { changed, notify } from "./changes.js";
import { $, set } from "./draw.js";
import { onSubmit, toast } from "./forms.js";
import { addAction } from "./menus.js";
import { end } from "./session.js";
import { state } from "./store.js";
import { t } from "./texts.js";

const dialog = $("settings");
const { elements } = $("profile");

addAction("account", { name: "settings", icon: "gear", isFor: () => true, act: openSettings });

function openSettings() {
  for (const form of dialog.querySelectorAll("form:not(.top)")) form.reset();
  onSubmit($("profile"), saveProfile);
  onSubmit($("password"), changePassword);
  onSubmit($("export"), exportData);
  onSubmit($("delete-account"), deleteAccount);
  fillProfile();
  notify("settings");
  dialog.showModal();
}

// --- Profile ---------------------------------------------------------------------

function fillProfile() {
  const { username, first_name, last_name, email, phone_number } = state.me;
  set(dialog, { ".username": `@${username}`, "#password [autocomplete=username]": { value: username } });
  for (const [name, value] of Object.entries({ first_name, last_name, email, phone_number })) elements[name].value = value ?? "";
  askForPassword();
}

/** Only another e-mail has to be proved: a password could be reset through it. */
function askForPassword() {
  const isAsked = elements.email.value.trim() !== state.me.email;
  elements.current_password.required = isAsked;
  $("profile").querySelector(".proof").hidden = !isAsked;
}
elements.email.oninput = askForPassword;

async function saveProfile({ current_password, phone_number, ...fields }) {
  const proof = elements.current_password.required && { current_password };
  const me = await call("PATCH", "users/me/", { ...fields, phone_number: phone_number || null, ...proof });
  Object.assign(state.me, me);
  Object.assign(state.people.get(me.user_id) ?? {}, me);
  changed();
  elements.current_password.value = "";
  fillProfile();
  toast(t("settings.saved"));
}

// --- Password, data, deletion ------------------------------------------------------

async function changePassword(fields) {
  await call("POST", "auth/password/change/", fields);
  $("password").reset();
  fillProfile();
  notify("settings"); // the others have been signed out
  toast(t("settings.password_changed"));
}

/** Save what the server exports as a file, if it is whole. */
async function exportData() {
  const { blob, name } = await download("users/me/export/");
  const [last] = (await blob.slice(-200).text()).trimEnd().split("\n").slice(-1);
  if (!last.includes('"type":"end"')) throw new Error(t("settings.export_incomplete"));
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once the browser has read it
}

async function deleteAccount(fields) {
  await call("DELETE", "users/me/", fields);
  end();
}
