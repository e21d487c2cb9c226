// What TypeScript is told of the package; what it must refuse is marked.
import { Api, ApiError, nameOf, Outbox, Store, Stream, type Message } from "django-messaging-client";

const api = new Api("https://example.org/api/", { token: "secret", texts: { unreachable: () => "Away." } });
const store = new Store(api);
const outbox = new Outbox(api, { store, storage: { read: async () => [], write: async () => {} } });
const stream = new Stream(api, store, { cursor: "1-0" });
store.on("message", ({ conversation, message }) => `${conversation.title} ${nameOf(message.sender)}`);
const stop: () => void = stream.on("status", ({ isLive }) => isLive && outbox.wake());
const unread: number = store.byActivity().map((conversation) => store.unreadOf(conversation)).length;
const message: Promise<Message> = api.get<Message>("messages/1/");
for await (const found of api.all<Message>("messages/", { page_size: 20 })) found.seq.toFixed();
api.on("signed out", (error: ApiError) => error.retryAfter.toFixed());
outbox.send({ conversation: "1", message_body: "hi" });
stream.start();
stop();

// @ts-expect-error: a message has a body
outbox.send({ conversation: "1" });
// @ts-expect-error: there is no such notice
store.on("massage", () => {});
// @ts-expect-error: a target handles
new Stream(api, {});
// @ts-expect-error: texts are functions
new Api("/api/", { texts: { unreachable: "Away." } });
export { message, unread };
