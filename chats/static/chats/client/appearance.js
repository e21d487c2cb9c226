/** The theme and the language that a reader has chosen for this browser. */
import { on } from "./changes.js";
import { $ } from "./draw.js";

const root = document.documentElement;
const KEY = "theme";
const YEAR = 365 * 24 * 60 * 60; // seconds

/** Show the page in the theme that was chosen, or else in the system's. */
function applyTheme() {
  const theme = localStorage.getItem(KEY);
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
}
applyTheme(); // the script blocks the first paint: the page never flashes in the other theme
addEventListener("storage", applyTheme); // it was chosen in another tab

/** Keep the language in a cookie, by which the server chooses the texts; without one, the browser decides. */
function keepLanguage(language) {
  const { pathname, protocol } = location;
  const age = `max-age=${language ? YEAR : 0}`;
  const secure = protocol === "https:" ? "; secure" : "";
  document.cookie = `language=${language}; path=${pathname}; ${age}; samesite=lax${secure}`;
}

const { elements } = $("appearance");
elements.theme.onchange = ({ target }) => {
  if (target.value) localStorage.setItem(KEY, target.value);
  else localStorage.removeItem(KEY);
  applyTheme();
};
elements.language.onchange = ({ target }) => {
  keepLanguage(target.value);
  location.reload();
};

on("settings", () => {
  elements.theme.value = localStorage.getItem(KEY) ?? "";
  elements.language.value = document.cookie.match(/(?:^|; )language=([\w-]+)/)?.[1] ?? "";
});
