/** What fingers do. */
const LONG = 500; // milliseconds
const STILL = 10; // pixels that a finger may move meanwhile

/** Call `act(event)` when a finger stays on something in the element, with the event of its beginning; no click follows. */
export function onLongPress(element, act) {
  let press = null; // the finger that is down: {event, timer, isLong}
  const end = () => clearTimeout(press?.timer);
  element.addEventListener("pointerdown", (event) => {
    end();
    press = null;
    if (event.pointerType !== "touch" || !event.isPrimary) return;
    const begun = { event, timer: setTimeout(() => (act(event), (begun.isLong = true)), LONG) };
    press = begun;
  });
  element.addEventListener("pointermove", ({ clientX, clientY }) => {
    const { event } = press ?? {};
    if (event && Math.hypot(clientX - event.clientX, clientY - event.clientY) > STILL) end();
  });
  for (const type of ["pointerup", "pointercancel", "scroll"]) element.addEventListener(type, end, { passive: true });
  // The browser's own menu, which some open then, and the click after it.
  const stop = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  element.addEventListener("contextmenu", (event) => press && event.pointerType === "touch" && stop(event), { capture: true });
  element.addEventListener("click", (event) => press?.isLong && event.detail && stop(event), { capture: true });
}
