/** How the parts of the page hear of each other, and what is done one after the other. */

/** What one part tells the others: see each `notify`. */
export const notices = new EventTarget();
export const notify = (type, detail) => notices.dispatchEvent(new CustomEvent(type, { detail }));
/** Call `handle(detail)` at each notice of a type; with `once`, at the next one only. */
export const on = (type, handle, options) => notices.addEventListener(type, ({ detail }) => handle(detail), options);

let drawing;
/** Have what is shown drawn again: once, for many changes. */
export function changed() {
  clearTimeout(drawing);
  drawing = setTimeout(() => notify("change"));
}

let work = Promise.resolve();
/** Do one thing after the other: what is loaded and what has happened never mix. */
export function inOrder(task) {
  const done = work.then(task);
  work = done.catch(() => {}).finally(changed);
  return done;
}

export const pause = (milliseconds) => new Promise((later) => setTimeout(later, milliseconds));
