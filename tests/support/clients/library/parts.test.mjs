// The parts against a server made up by `fetch`: what they send, and what they make of answers.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Api, ApiError, Outbox, Store, Stream, uuid } from "django-messaging-client";

const json = (status, body, headers) => Response.json(body, { status, headers });
const URL = "https://example.org/chat/api/";

/** An Api whose answers are those given, in turn; the calls are noted. A function is called for its answer. */
function apiWith(answers, options = {}) {
  const calls = [];
  const fetch = async (url, call) => {
    calls.push({ url, ...call });
    const answer = answers.shift();
    if (!answer) throw new TypeError("There is no network.");
    return typeof answer === "function" ? answer(call) : answer;
  };
  return { api: new Api(URL, { fetch, ...options }), calls };
}

/** Let everything happen that waits for no timer. */
async function settle() {
  for (let count = 0; count < 30; count += 1) await turn();
}

/** Replace the timers; go on in time, step by step. */
function clock(test) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  test.after(() => mock.timers.reset());
  return async (milliseconds) => {
    await settle();
    for (let passed = 0; passed < milliseconds; passed += 500) {
      mock.timers.tick(500);
      await settle();
    }
  };
}

// --- Calls -------------------------------------------------------------------------

test("a token is sent without cookies, and never to another host", async () => {
  const { api, calls } = apiWith([json(200, { results: [], next: null }), json(201, { seq: 1 })], { token: "secret" });
  await api.call("GET", "https://elsewhere.example/chat/api/users/?cursor=/api/x");
  await api.call("POST", "messages/", { message_body: "hi" });
  const [read, written] = calls;
  assert.equal(read.url, `${URL}users/?cursor=/api/x`);
  assert.deepEqual(read.headers, { Accept: "application/json", Authorization: "Bearer secret" });
  assert.equal(read.credentials, "omit");
  assert.equal(written.headers["X-CSRFToken"], undefined);
  assert.equal(written.body, '{"message_body":"hi"}');
});

test("with a session what writes has the CSRF token", async () => {
  const { api, calls } = apiWith([json(200, {}), new Response(null, { status: 204 })], { csrf: () => "token" });
  await api.get("users/me/");
  assert.equal(await api.call("DELETE", "messages/1/"), null);
  assert.deepEqual(calls.map(({ headers }) => headers["X-CSRFToken"]), [undefined, "token"]);
  assert.deepEqual(calls.map(({ credentials }) => credentials), ["include", "include"]);
});

test("errors say what the server said, or the caller's own words", async () => {
  const texts = { unexpected: (status) => `Oh, ${status}.`, unreachable: () => "Nobody there." };
  const answers = [
    json(429, { detail: "Slowly.", code: "throttled" }, { "Retry-After": "7" }),
    json(400, { title: ["Too long."], owner: ["Who?"] }),
    new Response("<h1>Bad gateway</h1>", { status: 502 }),
    new Response("<h1>Log in to this hotel</h1>"),
  ];
  const { api } = apiWith(answers, { texts });
  const errors = [];
  for (let count = 0; count < 5; count += 1) await api.get("users/").catch((error) => errors.push(error));
  assert.ok(errors.every((error) => error instanceof ApiError));
  assert.deepEqual(
    errors.map(({ status, code, message, retryAfter, isTemporary }) => [status, code, message, retryAfter, isTemporary]),
    [
      [429, "throttled", "Slowly.", 7, true],
      [400, "", "Too long.", 0, false],
      [502, "", "Oh, 502.", 0, true],
      [0, "", "Nobody there.", 0, true],
      [0, "", "Nobody there.", 0, true],
    ],
  );
  assert.deepEqual(errors[1].fields, { title: ["Too long."], owner: ["Who?"] });
});

test("a call without an answer is given up", async (test) => {
  const pass = clock(test);
  const never = ({ signal }) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  const { api } = apiWith([never], { timeout: 5_000 });
  const error = api.get("users/").catch((reason) => reason);
  await pass(5_000);
  assert.equal((await error).status, 0);
});

test("who is signed out is told so, but not whose password was wrong", async () => {
  const { api } = apiWith([json(401, { detail: "No.", code: "wrong_credentials" }), json(401, { code: "invalid_token" })]);
  const codes = [];
  api.on("signed out", ({ code }) => codes.push(code));
  await assert.rejects(api.obtainToken({ username: "nina", password: "x" }), { message: "No." });
  await assert.rejects(api.get("users/me/"));
  assert.deepEqual(codes, ["invalid_token"]);
});

test("lists are read page by page, and searched as long as it is wanted", async () => {
  const page = (results, next) => json(200, { results, next: next && `${URL}users/?cursor=${next}` });
  const { api, calls } = apiWith([page([1, 2], "a"), page([], "b"), page([3], null), page([], "a"), page([4], "b")]);
  const all = [];
  for await (const item of api.all("users/", { page_size: 2 })) all.push(item);
  assert.deepEqual(all, [1, 2, 3]);
  assert.deepEqual(calls.map(({ url }) => url.slice(URL.length)), ["users/?page_size=2", "users/?cursor=a", "users/?cursor=b"]);
  const found = await api.search("users/", "tea", () => calls.length < 5);
  assert.deepEqual(found, { results: [4], next: `${URL}users/?cursor=b` });
  assert.equal(calls[3].url, `${URL}users/?search=tea&page_size=20`);
});

// --- Events ------------------------------------------------------------------------

/** A stream's answer; what it says, and whether it goes on. */
function saying(...texts) {
  const start = (body) => {
    for (const text of texts) body.enqueue(new TextEncoder().encode(text));
    if (texts.at(-1).includes("event: end")) body.close();
  };
  return new Response(new ReadableStream({ start }), { headers: { "Content-Type": "text/event-stream" } });
}
const READY = 'retry: 1000\nid: 1-0\nevent: ready\ndata: {"cursor":"1-0"}\n\n';
const happened = (id) => `id: ${id}\nevent: message.created\ndata: {"id":"${id}"}\n\n`;
const ending = (milliseconds) => `retry: ${milliseconds}\nevent: end\ndata: {"code":"restart","detail":""}\n\n`;

function following(answers, { cursor, handle = () => {} } = {}) {
  const { api, calls } = apiWith(answers, { token: "secret" });
  const handled = [];
  const target = { handle: (type, data) => { handled.push(type); return handle(type, data); } };
  const stream = new Stream(api, target, { cursor });
  const lives = [];
  stream.on("status", ({ isLive }) => lives.push(isLive));
  const asked = () => calls.map(({ url }) => url.slice(URL.length));
  return { stream, calls, handled, lives, asked };
}

test("a stream that ends is resumed after its last event, when the server says", async (test) => {
  const pass = clock(test);
  const { stream, calls, handled, lives, asked } = following([
    saying(READY, happened("1-1"), "id: 1-2\nevent: ping\ndata: {}\n\n", ending(9000)), saying(happened("1-3")),
  ]);
  stream.start();
  await pass(8_500);
  assert.equal(calls.length, 1);
  await pass(500);
  assert.deepEqual(asked(), ["events/", "events/?after=1-2"]);
  assert.equal(calls[0].headers.Accept, "text/event-stream");
  assert.deepEqual(handled, ["ready", "message.created", "message.created"]);
  assert.deepEqual(lives, [true, false, true]);
  assert.equal(stream.cursor, "1-3");
  stream.stop();
  await pass(60_000);
  assert.equal(calls.length, 2);
});

test("a stream that is silent is taken for dead", async (test) => {
  const pass = clock(test);
  const { stream, calls, lives, asked } = following([saying(READY), saying("event: ping\ndata: {}\n\n")]);
  stream.start();
  await pass(39_500);
  assert.equal(calls.length, 1);
  await pass(5_500);
  assert.deepEqual(asked(), ["events/", "events/?after=1-0"]);
  assert.deepEqual(lives, [true, false, true]);
  stream.stop();
});

test("one comes back ever more slowly, and at once when woken", async (test) => {
  const pass = clock(test);
  const { stream, calls } = following([]);
  stream.start();
  await pass(60_000);
  assert.ok(calls.length >= 9 && calls.length <= 15, `${calls.length} attempts`);
  const before = calls.length;
  stream.wake();
  await settle();
  assert.equal(calls.length, before + 1);
  stream.stop();
});

test("429 and 503 are waited for as long as they say", async (test) => {
  const pass = clock(test);
  const wait = { "Retry-After": "30" };
  const { stream, calls, handled } = following([json(429, {}, wait), json(503, {}, wait), saying(READY)]);
  stream.start();
  await pass(29_500);
  assert.equal(calls.length, 1);
  await pass(500);
  assert.equal(calls.length, 2);
  await pass(30_000);
  assert.equal(calls.length, 3);
  assert.deepEqual(handled, ["ready"]);
  stream.stop();
});

for (const status of [401, 403]) {
  test(`${status} ends it, until it is started again`, async (test) => {
    const pass = clock(test);
    const { stream, calls } = following([json(status, { code: "no" }), saying(READY)]);
    const refusals = [];
    stream.on("refused", (error) => refusals.push(error.status));
    stream.start();
    await pass(60_000);
    assert.equal(calls.length, 1);
    assert.deepEqual(refusals, [status]);
    stream.start();
    await settle();
    assert.equal(stream.isLive, true);
    stream.stop();
  });
}

test("a cursor that the server cannot read is given up", async () => {
  const { stream, handled, asked } = following([json(400, { after: ["Malformed."] }), saying(READY)], { cursor: "x" });
  stream.start();
  await settle();
  assert.deepEqual(asked(), ["events/?after=x", "events/"]);
  assert.deepEqual(handled, ["ready"]);
  stream.stop();
});

test("an event that cannot be handled has all loaded anew, until that works", async (test) => {
  const pass = clock(test);
  let failures = 2;
  const handle = (type) => {
    if (type !== "ready" && failures-- > 0) throw new ApiError(503, {}, { retryAfter: 4 });
  };
  const { stream, handled } = following([saying(READY, happened("1-1"), happened("1-2"))], { handle });
  stream.start();
  await pass(3_500);
  assert.deepEqual(handled, ["ready", "message.created"]);
  assert.equal(stream.cursor, "1-0");
  await pass(6_000);
  assert.deepEqual(handled, ["ready", "message.created", "reset", "reset", "message.created"]);
  assert.equal(stream.cursor, "1-2");
  stream.stop();
});

// --- Sending -----------------------------------------------------------------------

const storedBy = ({ body }) => json(201, { message_id: uuid(), seq: 1, ...JSON.parse(body) });

/** An outbox that is started, with what its storage was given. */
async function sending(answers, left = []) {
  const { api, calls } = apiWith(answers);
  let kept = left;
  const outbox = new Outbox(api, { storage: { read: async () => kept, write: async (items) => { kept = items; } } });
  await outbox.start();
  const say = (message_body) => outbox.send({ conversation: "c", message_body });
  return { outbox, say, kept: () => kept, sent: () => calls.map(({ body }) => JSON.parse(body).message_body), calls };
}

test("messages are sent one after the other, and the first again until it is stored", async (test) => {
  const pass = clock(test);
  const { say, sent, calls, kept } = await sending([json(503, {}), null, storedBy, storedBy]);
  say("one");
  say("two");
  await settle();
  assert.deepEqual(sent(), ["one"]);
  assert.deepEqual(kept().map(({ message_body }) => message_body), ["one", "two"]);
  await pass(10_000);
  assert.deepEqual(sent(), ["one", "one", "one", "two"]);
  const ids = calls.map(({ body }) => JSON.parse(body).client_id);
  assert.equal(new Set(ids.slice(0, 3)).size, 1);
  assert.deepEqual(Object.keys(JSON.parse(calls[0].body)).sort(), ["client_id", "conversation", "message_body"]);
  assert.deepEqual(kept(), []);
});

test("what is refused stays, says why, and holds nothing up", async () => {
  const { outbox, say, sent } = await sending([json(400, { message_body: ["Too long."] }), storedBy, storedBy]);
  say("one");
  say("two");
  await settle();
  assert.deepEqual(outbox.items.map(({ message_body, reason }) => [message_body, reason]), [["one", "Too long."]]);
  outbox.retry(outbox.items[0]);
  await settle();
  assert.deepEqual(sent(), ["one", "two", "one"]);
  assert.deepEqual(outbox.items, []);
});

test("after 401 nothing is sent until somebody has signed in again", async (test) => {
  const pass = clock(test);
  const { outbox, say, sent } = await sending([json(401, {}), storedBy]);
  say("one");
  await pass(60_000);
  assert.deepEqual(sent(), ["one"]);
  outbox.wake();
  await settle();
  assert.deepEqual(outbox.items, []);
});

test("what was left is sent first, and what is discarded never", async (test) => {
  const pass = clock(test);
  const left = { client_id: uuid(), conversation: "c", message_body: "left", sender: null, sent_at: "", reason: "" };
  const { outbox, say, sent } = await sending([null, null, storedBy, storedBy], [left]);
  const item = say("never mind");
  say("new");
  await settle();
  outbox.discard(item);
  await pass(20_000);
  assert.deepEqual(sent(), ["left", "left", "left", "new"]);
});

test("what is stopped sends and writes nothing", async (test) => {
  const pass = clock(test);
  const { outbox, say, sent, kept } = await sending([]);
  say("one");
  await settle();
  outbox.stop();
  say("two");
  await pass(60_000);
  assert.deepEqual(sent(), ["one"]);
  assert.deepEqual(kept().map(({ message_body }) => message_body), ["one"]);
});

// --- State -------------------------------------------------------------------------

test("what I may do is loaded anew when somebody else becomes the owner", async () => {
  const me = { user_id: "me" };
  const conversation = { conversation_id: "c", owner: "me", participants: [], last_message: null, last_seq: 0 };
  const anew = { ...conversation, owner: "you", can: { rename: false }, messages: [] };
  const { api, calls } = apiWith([
    json(200, me), json(200, { results: [{ ...conversation, can: { rename: true } }], next: null }), json(200, anew),
  ]);
  const store = new Store(api);
  await store.handle("ready", {});
  const updated = { conversation_id: "c", conversation: { ...conversation, title: "Tea" } };
  await store.handle("conversation.updated", updated);
  assert.equal(calls.length, 2);
  await store.handle("conversation.updated", { ...updated, conversation: { ...conversation, owner: "you" } });
  assert.deepEqual(store.conversations.get("c").can, { rename: false });
});
