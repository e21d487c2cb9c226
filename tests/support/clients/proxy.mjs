// A proxy that compresses what it may: node proxy.mjs SERVER. Prints its port.
import http from "node:http";
import compression from "compression";
import express from "express";

const [server] = process.argv.slice(2);
const app = express();
app.use(compression());
app.use((request, response) => {
  const asked = http.request(server + request.url, { headers: request.headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  response.on("close", () => asked.destroy());
  asked.on("error", () => response.destroy());
  asked.end();
});
const listening = app.listen(0, "127.0.0.1", () => console.log(listening.address().port));
