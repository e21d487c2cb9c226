/** The texts of the page, in its language: the server puts its catalogue (texts/*.json) into the page. */
const catalogue = JSON.parse(document.getElementById("texts").textContent);
const root = document.documentElement;

/** The language of dates and numbers: the page's, in the reader's own variety of it. */
export const locale = navigator.languages.find((tag) => tag.split("-")[0] === root.lang) ?? root.lang;
const plural = new Intl.PluralRules(locale);
const number = new Intl.NumberFormat(locale);
// What is put into a text may run in the other direction.
const isolated = root.dir === "rtl" ? (value) => `\u2068${value}\u2069` : (value) => value;

/**
 * A text by its name: `t("list.nothing_found", { text })` puts `text` in place of `{text}`. A text
 * with several forms takes the one of its `count`.
 */
export function t(name, values = {}) {
  const text = name.split(".").reduce((texts, key) => texts?.[key], catalogue);
  if (!text) throw new Error(`There is no text ${name}.`);
  const form = typeof text === "string" ? text : (text[plural.select(values.count)] ?? text.other);
  return form.replace(/\{(\w+)\}/g, (_, key) => (key === "count" ? number.format(values.count) : isolated(values[key])));
}
