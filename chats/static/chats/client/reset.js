/** A forgotten password: the e-mail with a link, and the page that this link leads to. */
import { call } from "./api.js";
import { $, set } from "./draw.js";
import { onSubmit } from "./forms.js";
import { begin, showWelcome } from "./session.js";
import { t } from "./texts.js";

const LINK = /^#\/reset\/([\w-]{1,100})\/([\w-]{1,100})$/;
const reset = $("reset");

onSubmit($("forgot"), async ({ email }) => {
  await call("POST", "auth/password/reset/", { email });
  set($("forgot"), { "[role=status]": t("reset.sent", { email }) }); // the same whether there is an account or not
});
// Another answer is not for what is in the field now.
$("forgot").oninput = () => set($("forgot"), { "[role=status]": "" });

/** Ask for the new password, if the address is that of a link in an e-mail; return whether it is. */
export function openResetLink() {
  const [isLink, uid, token] = location.hash.match(LINK) ?? [];
  if (!isLink) return false;
  onSubmit(reset, async ({ new_password }) => {
    try {
      await call("POST", "auth/password/reset/confirm/", { uid, token, new_password });
    } catch (error) {
      if (!error.fields?.token) throw error;
      return showExpired();
    }
    leave();
    set($("sign-in"), { "[role=status]": t("reset.done") });
    begin();
  });
  reset.hidden = false;
  showWelcome(reset);
  return true;
}

function showExpired() {
  set(reset, { ".expired": { hidden: false }, ".choosing": { hidden: true } });
  reset.querySelector(".expired a").focus();
}

/** Leave the page of the link, which works only once. */
function leave() {
  history.replaceState(null, "", "#/");
  reset.reset();
  reset.hidden = true;
}
reset.querySelector(".expired a").onclick = () => (reset.hidden = true); // the address leads to the other form

// A link opened in a page that is there already.
addEventListener("hashchange", () => LINK.test(location.hash) && location.reload());
