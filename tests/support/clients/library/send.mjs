// Sends messages and keeps them in a file: node send.mjs SERVER TOKEN CONVERSATION FILE FIRST LAST.
// Prints the body of each that is stored, and ends when there is none left.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { Api, Outbox } from "django-messaging-client";

const [server, token, conversation, file, first, last] = process.argv.slice(2);
const storage = {
  read: () => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : []),
  write(items) {
    writeFileSync(`${file}.new`, JSON.stringify(items));
    renameSync(`${file}.new`, file);
  },
};
const outbox = new Outbox(new Api(`${server}/api/`, { token, timeout: 2_000 }), { storage });
outbox.on("stored", ({ message_body }) => console.log(JSON.stringify(message_body)));
outbox.on("refused", ({ error }) => console.log(JSON.stringify(`refused: ${error.message}`)));
await outbox.start();
for (let number = Number(first); number <= Number(last); number += 1) {
  outbox.send({ conversation, message_body: `number ${number}` });
}
