/** Waiting, and doing one thing after the other. */

export const pause = (milliseconds) => new Promise((later) => setTimeout(later, milliseconds));

/** How long to wait after some failures: longer each time, up to a limit, and not all clients alike. */
export const backOff = (first, failures, longest) =>
  Math.min(longest, first * 2 ** failures) * (1 + Math.random() / 2);

/** A pause that can be ended early. */
export class Rest {
  #end = () => {};

  /** Wait so many milliseconds; with Infinity until it is ended. */
  for(milliseconds) {
    return new Promise((resolve) => {
      const timer = Number.isFinite(milliseconds) && setTimeout(resolve, milliseconds);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  end() {
    this.#end();
  }
}

/** Return a function that runs tasks one after the other, each when the one before it has ended. */
export function serially() {
  let last = Promise.resolve();
  return (task) => {
    const done = last.then(task);
    last = done.catch(() => {});
    return done;
  };
}
