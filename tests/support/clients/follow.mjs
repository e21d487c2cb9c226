// Follows the events with a client of others: node follow.mjs CLIENT SERVER TOKEN.
// Prints what the client passes on, one JSON array [type, data] a line; data is parsed
// as every page would, so a message without data ends this with an error.
import { EventSource } from "eventsource";
import { EventSourcePolyfill } from "event-source-polyfill";
import { fetchEventSource } from "@microsoft/fetch-event-source";

const [client, server, token] = process.argv.slice(2);
const url = `${server}/api/events/`;
const headers = { Authorization: `Token ${token}` };
const show = (type, data) => console.log(JSON.stringify([type, JSON.parse(data)]));

function listen(source) {
  for (const type of ["message", "ready", "reset", "message.created", "ping", "end"]) {
    source.addEventListener(type, (event) => show(type, event.data));
  }
  source.addEventListener("error", () => {
    if (source.readyState === 2) console.log(JSON.stringify(["gave up", null]));
  });
}

const clients = {
  eventsource: () => listen(new EventSource(url, {
    fetch: (address, init) => fetch(address, { ...init, headers: { ...init.headers, ...headers } }),
  })),
  "event-source-polyfill": () => listen(new EventSourcePolyfill(url, { headers })),
  "fetch-event-source": () => {
    globalThis.window = globalThis;
    globalThis.document = new EventTarget();
    fetchEventSource(url, {
      headers,
      openWhenHidden: true,
      onmessage: ({ event, data }) => show(event, data),
      onclose: () => { throw new Error("It ended: come back."); }, // otherwise it does not
    });
  },
};
clients[client]();
