/** Times, as people read them. */
import { locale, t } from "./texts.js";

const formatter = (options) => {
  const format = new Intl.DateTimeFormat(locale, options);
  return (time) => format.format(new Date(time));
};
export const clock = formatter({ timeStyle: "short" });
const dayAndMonth = formatter({ day: "numeric", month: "short" });
const dayMonthAndYear = formatter({ dateStyle: "medium" });
const fullDay = formatter({ dateStyle: "full" });
export const exactly = formatter({ dateStyle: "full", timeStyle: "medium" });

export const isSameDay = (time, other) => new Date(time).toDateString() === new Date(other).toDateString();
const daysAgo = (days) => new Date().setDate(new Date().getDate() - days);
const isThisYear = (time) => new Date(time).getFullYear() === new Date().getFullYear();

/** The time of today, "Yesterday", or the date. */
export function shortly(time) {
  if (isSameDay(time, Date.now())) return clock(time);
  if (isSameDay(time, daysAgo(1))) return t("times.yesterday");
  return isThisYear(time) ? dayAndMonth(time) : dayMonthAndYear(time);
}

/** "Today", "Yesterday", or the whole date. */
export function dayOf(time) {
  if (isSameDay(time, Date.now())) return t("times.today");
  return isSameDay(time, daysAgo(1)) ? t("times.yesterday") : fullDay(time);
}

/** What a `<time>` has: a short text, exact when pointed at. */
export const timed = (time, text) => ({ dateTime: time, title: exactly(time), textContent: text });
