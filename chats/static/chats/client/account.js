/** The signed-in person's own corner, with its menu. */
import { on } from "./changes.js";
import { $, avatar, set } from "./draw.js";
import { attempt } from "./forms.js";
import { addAction, aim } from "./menus.js";
import { signOut } from "./session.js";
import { nameOf, state } from "./store.js";

const corner = $("me");
on("begin", draw);
on("change", draw);
function draw() {
  set(corner, { ".avatar": avatar(state.me.user_id, nameOf(state.me)), bdi: nameOf(state.me) });
}

corner.onclick = () => aim("account", state.me, corner);
addAction("account", { name: "sign_out", icon: "out", isFor: () => true, act: () => attempt(signOut) });
