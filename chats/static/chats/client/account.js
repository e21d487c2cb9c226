/** The signed-in person's own corner. */
import { on } from "./changes.js";
import { $, avatar, set } from "./draw.js";
import { attempt } from "./forms.js";
import { signOut } from "./session.js";
import { nameOf, state } from "./store.js";

on("begin", () => set($("me"), { ".avatar": avatar(state.me.user_id, nameOf(state.me)), bdi: nameOf(state.me) }));
$("sign-out").onclick = () => attempt(signOut);
