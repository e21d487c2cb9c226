/** Takes a stream of Server-Sent Events apart, as the HTML standard says. */

export class Frames {
  #decoder = new TextDecoder(); // a character may begin in one chunk and end in the next
  #line = ""; // the one that has not ended yet
  #endsInCR = false; // a LF that comes next belongs to it
  #frame = {};

  /** Take the next bytes; yield each block that ends in them: `{ type, data, id, retry }`, as far as it has them. */
  *push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (!text) return;
    if (this.#endsInCR && text.startsWith("\n")) text = text.slice(1);
    this.#endsInCR = text.endsWith("\r");
    const lines = (this.#line + text).split(/\r\n|\r|\n/);
    this.#line = lines.pop();
    for (const line of lines) {
      if (line) this.#take(line);
      else yield* this.#finish();
    }
  }

  #take(line) {
    const [, name, value = ""] = line.match(/^([^:]*)(?:: ?(.*))?$/su);
    if (name === "data") this.#frame.data = "data" in this.#frame ? `${this.#frame.data}\n${value}` : value;
    else if (name === "event") this.#frame.type = value;
    else if (name === "id" && !value.includes("\0")) this.#frame.id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#frame.retry = Number(value);
  }

  /** A block of comments only has nothing to say; one without data may still move the cursor. */
  *#finish() {
    const frame = this.#frame;
    this.#frame = {};
    if (Object.keys(frame).length) yield { ...frame, type: frame.type || "message" };
  }
}
