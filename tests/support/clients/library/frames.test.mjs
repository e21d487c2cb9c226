// Takes a stream apart that is cut at every place, with each kind of line end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Frames } from "django-messaging-client";

const TEXT = [
  "\uFEFFretry: 1000", "id: 1-0", "event: ready", 'data: {"cursor":"1-0"}', "",
  ": a comment", "", "", // a block that says nothing
  "event: message.created", "data: żółw 🐢 \u2028 one line", "id: 1-1", "",
  "data: two", "data:lines", "data", "",
  "event: ping", "data: {}", "id", "",
  "id: 1-3", "", // moves the cursor, and has no data
  "id: 1\u00004", "retry: soon", "unknown: field", "data:  two blanks: a colon", "",
  "event: end", "data: cut off",
].join("\n");
const FRAMES = [
  { type: "ready", data: '{"cursor":"1-0"}', id: "1-0", retry: 1000 },
  { type: "message.created", data: "żółw 🐢 \u2028 one line", id: "1-1" },
  { type: "message", data: "two\nlines\n" },
  { type: "ping", data: "{}", id: "" },
  { type: "message", id: "1-3" },
  { type: "message", data: " two blanks: a colon" },
];

function framesOf(chunks) {
  const frames = new Frames();
  return chunks.flatMap((chunk) => [...frames.push(chunk)]);
}

for (const [name, end] of Object.entries({ LF: "\n", CRLF: "\r\n", CR: "\r" })) {
  const bytes = new TextEncoder().encode(TEXT.replaceAll("\n", end));

  test(`${name}: cut in two, or in three, anywhere`, () => {
    for (let first = 0; first <= bytes.length; first += 1) {
      for (const second of [first, first + 1, first + 2, first + 7]) {
        const chunks = [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)];
        assert.deepEqual(framesOf(chunks), FRAMES, `cut at ${first} and ${second}`);
      }
    }
  });

  test(`${name}: in chunks of every size`, () => {
    for (let size = 1; size <= bytes.length; size += 1) {
      const count = Math.ceil(bytes.length / size);
      const chunks = Array.from({ length: count }, (_, at) => bytes.slice(at * size, (at + 1) * size));
      assert.deepEqual(framesOf(chunks), FRAMES, `chunks of ${size}`);
    }
  });
}
