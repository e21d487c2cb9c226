// Follows the events over connections that are cut: node follow.mjs SERVER TOKEN SEED.
// Prints [type, seq or null] of each event; "ready" first. Each connection ends after some
// bytes, wherever that is, and is opened again at once.
import { Api, Stream } from "django-messaging-client";

const [server, token, seed] = process.argv.slice(2);
let cuts = 0;
let state = Number(seed);
const next = (limit) => (state = (state * 48271) % 2147483647) % limit;

async function cutting(url, call) {
  const response = await fetch(url, call);
  if (call.headers.Accept !== "text/event-stream") return response;
  let left = 300 + next(3_000);
  const cut = new TransformStream({
    transform(chunk, body) {
      for (let at = 0; at < chunk.length && left > 0; ) {
        const size = Math.min(1 + next(50), left);
        body.enqueue(chunk.slice(at, at + size));
        [at, left] = [at + size, left - size];
      }
      if (left > 0) return;
      cuts += 1;
      body.terminate();
    },
  });
  return new Response(response.body.pipeThrough(cut), { headers: response.headers });
}

const handle = (type, data) => {
  console.log(JSON.stringify([type, data.message?.seq ?? null]));
  if (data.message?.message_body === "the last") {
    console.log(JSON.stringify(["cuts", cuts]));
    stream.stop();
  }
};
const stream = new Stream(new Api(`${server}/api/`, { token, fetch: cutting }), { handle });
stream.on("status", ({ error }) => error && setTimeout(() => stream.wake()));
stream.start();
