/** What fingers do. */
const LONG = 500; // milliseconds
const STILL = 10; // pixels that a finger may move meanwhile

/** Call `act(event)` when a finger stays on something in the element, with the event of its beginning; no click follows. */
export function onLongPress(element, act) {
  let press = null; // the last one of a finger: {event, timer, isLong}
  const end = () => clearTimeout(press?.timer);
  const last = () => {
    end();
    if (!press.isLong) act(press.event);
    press.isLong = true;
  };
  element.addEventListener("pointerdown", (event) => {
    end();
    press = event.pointerType === "touch" && event.isPrimary ? { event, timer: setTimeout(last, LONG), isLong: false } : null;
  });
  element.addEventListener("pointermove", ({ clientX, clientY }) => {
    const { event } = press ?? {};
    if (event && Math.hypot(clientX - event.clientX, clientY - event.clientY) > STILL) end();
  });
  for (const type of ["pointerup", "pointercancel"]) element.addEventListener(type, end);
  const stop = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  // Where the browser has a menu of its own for this, it may be sooner.
  const onMenu = (event) => {
    if (!press || event.pointerType !== "touch") return;
    stop(event);
    last();
  };
  element.addEventListener("contextmenu", onMenu, { capture: true });
  element.addEventListener("click", (event) => press?.isLong && event.detail && stop(event), { capture: true });
}
