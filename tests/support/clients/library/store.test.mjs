// The property of the store: what was loaded, plus the events since, is what would be loaded now.
// Needs a server: SERVER; TOKENS of some people, separated by blanks; and CONVERSATION, the id of
// one they have, which the first of them has open, and nobody leaves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Api, Store, Stream } from "django-messaging-client";

const STEPS = 60;
const OPEN = process.env.CONVERSATION;
const apis = process.env.TOKENS.split(" ").map((token) => new Api(`${process.env.SERVER}/api/`, { token }));
const people = await Promise.all(apis.map((api) => api.get("users/me/")));

/** Numbers from 0 to 1, always the same for the same seed (mulberry32). */
function randomly(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const DEEDS = ["send", "send", "send", "edit", "delete", "read", "readAll", "start", "start", "rename", "add", "add", "remove", "remove", "remove", "leave", "close"];
const done = new Set(); // the deeds that were

/** What people do; which of it, of whom, and to what is a matter of chance. Some of it is refused. */
class History {
  constructor(seed) {
    const random = randomly(seed);
    this.one = (list) => list[Math.floor(random() * list.length)];
  }

  async step() {
    const actor = this.one(apis.map((_, at) => at));
    const api = apis[actor];
    const [conversations, messages] = await Promise.all([this.list(api, "conversations/"), this.list(api, "messages/")]);
    const deed = conversations.length ? this.one(DEEDS) : "start";
    const me = people[actor];
    const mine = messages.filter(({ sender }) => sender.user_id === me.user_id);
    const others = conversations.filter(({ conversation_id: id }) => id !== OPEN);
    const owned = others.filter(({ owner }) => owner === me.user_id);
    const there = this.one([this.one(conversations), { conversation_id: OPEN }]);
    const context = { api, me, there, left: this.one(others), message: this.one(messages), mine: this.one(mine), owned: this.one(owned) };
    const work = this[deed](context);
    if (!work) return;
    const error = await work.then(() => done.add(deed) && null, (reason) => reason);
    if (error && ![400, 403, 409].includes(error.status)) throw error;
  }

  list = async (api, path) => (await api.get(path, { page_size: 20 })).results;
  act = (api, there, action, body) => api.call("POST", `conversations/${there.conversation_id}/${action}/`, body);
  send = ({ api, there }) => api.call("POST", "messages/", { conversation: there.conversation_id, message_body: `text ${this.one("abcdefgh")}` });
  edit = ({ api, mine }) => mine && api.call("PATCH", `messages/${mine.message_id}/`, { message_body: `new ${this.one("abcdefgh")}` });
  delete = ({ api, mine }) => mine && api.call("DELETE", `messages/${mine.message_id}/`);
  read = ({ api, message }) => message && api.call("POST", `messages/${message.message_id}/mark_as_read/`);
  readAll = ({ api, there }) => api.call("POST", "messages/mark_conversation_as_read/", { conversation_id: there.conversation_id });
  start = ({ api }) => api.call("POST", "conversations/", { participant_ids: [this.one(people).user_id, this.one(people).user_id], title: this.one("ABCD") });
  rename = ({ api, there }) => api.call("PATCH", `conversations/${there.conversation_id}/`, { title: this.one("EFGH") });
  add = ({ api, there }) => this.act(api, there, "add_participant", { user_id: this.one(people).user_id });
  remove = ({ api, owned }) => owned && this.act(api, owned, "remove_participant", { user_id: this.one(owned.participants).user_id });
  leave = ({ api, left, me }) => left && this.act(api, left, "remove_participant", { user_id: me.user_id });
  close = ({ api, owned }) => owned && api.call("DELETE", `conversations/${owned.conversation_id}/`);
}

// Whether somebody is there changes by itself.
const lasting = (value) => JSON.parse(JSON.stringify(value), (name, part) => (["is_online", "last_seen_at", "joined_at", "last_read_seq", "joined_seq"].includes(name) ? undefined : part));
const entries = (map) => Object.fromEntries([...map].sort());

/** What can be seen of a store. */
function viewOf(store) {
  const conversations = store.byActivity().map(({ read, joined, typing, ...rest }) => ({
    ...rest, unread: store.unreadOf({ ...rest, read }), read: entries(read), joined: entries(joined), typing: entries(typing),
  }));
  return lasting({ conversations, messages: store.timeline?.messages ?? null });
}

/** A store that has just been loaded, with the conversation open. */
async function loaded(api) {
  const store = new Store(api);
  await store.handle("ready", {});
  await store.open(OPEN, Infinity);
  return store;
}

async function until(holds) {
  while (!(await holds())) await new Promise((later) => setTimeout(later, 20));
}

for (const seed of [1, 2, 3]) {
  test(`loaded and followed is loaded again, with seed ${seed}`, async () => {
    const history = new History(seed);
    for (let step = 0; step < STEPS / 3; step += 1) await history.step();
    const [api] = apis;
    const { cursor } = await api.get("events/");
    // What was loaded may be newer than the events that are handled first.
    for (let step = 0; step < STEPS / 3; step += 1) await history.step();
    const store = await loaded(api);

    const handle = async (type, data) => {
      await store.handle(type, data);
      await store.handle(type, data);
    };
    const stream = new Stream(api, { handle, inOrder: store.inOrder }, { cursor });
    stream.on("failed", (error) => assert.fail(error));
    stream.start();
    for (let step = 0; step < STEPS / 3; step += 1) await history.step();
    await until(async () => (await api.get("events/", { after: stream.cursor })).events.length === 0);
    stream.stop();

    // It has the messages from its beginning, or as many as are loaded at once, and those since.
    const [view, anew] = [viewOf(store), viewOf(await loaded(api))];
    assert.ok(anew.messages.length > 5);
    assert.deepEqual({ ...view, messages: view.messages.slice(-anew.messages.length) }, anew);
  });
}

test("everything was done in one of them", () => assert.deepEqual([...done].sort(), [...new Set(DEEDS)].sort()));
