/** Creating an access token, whose secret is shown once. */
import { call } from "./api.js";
import { on } from "./changes.js";
import { $, set } from "./draw.js";
import { attempt, onSubmit, toast } from "./forms.js";
import { load } from "./sessions.js";
import { t } from "./texts.js";

const form = $("new-token");
const secret = $("shown-once");

on("settings", () => {
  forgetSecret();
  onSubmit(form, create);
});
$("settings").addEventListener("close", forgetSecret);

async function create({ name, expires_on, current_password }) {
  const expires_at = expires_on && new Date(`${expires_on}T23:59:59`).toISOString();
  const token = await call("POST", "auth/tokens/", { name, current_password, ...(expires_at && { expires_at }) })
    .catch((error) => Promise.reject(onField(error)));
  form.reset();
  set(secret, { ":scope": { hidden: false }, input: { value: token.token } });
  secret.querySelector("input").select();
  await load();
}

/** Let what is said of `expires_at` be said of the field where the day is. */
function onField(error) {
  const { expires_at, ...fields } = error.fields ?? {};
  return expires_at ? Object.assign(error, { fields: { ...fields, expires_on: expires_at } }) : error;
}

function forgetSecret() {
  set(secret, { ":scope": { hidden: true }, input: { value: "" } });
}

secret.querySelector("button").onclick = () =>
  attempt(async () => {
    secret.querySelector("input").select();
    // Only pages over HTTPS and on localhost may write to the clipboard; elsewhere it is selected, to be copied by hand.
    if (!navigator.clipboard) throw new Error(t("tokens.copy_by_hand"));
    await navigator.clipboard.writeText(secret.querySelector("input").value);
    toast(t("tokens.copied"));
  });
