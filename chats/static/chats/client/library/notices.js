/** How a part of a client tells the others what has happened. */

export class Notices {
  #listeners = new Map(); // type -> set of functions

  /** Call `listener(detail)` at each notice of a type; return what ends that. */
  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    const listeners = this.#listeners.get(type).add(listener);
    return () => void listeners.delete(listener);
  }

  /** Tell all listeners. The error of one is reported and, as with events of a page, stops no other. */
  notify(type, detail) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        setTimeout(() => { throw error; });
      }
    }
  }
}
