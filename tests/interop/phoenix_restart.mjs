// The npm phoenix client in a kept topic, with the lines of docs/protocols/phoenix.md that let it resume.
// Usage: node phoenix_restart.mjs URL TRANSPORT PAGE. Prints a line of JSON for each join and each event.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [url, transport, page] = process.argv.slice(2);
const require = createRequire(process.env.WEB);
const { LongPoll, Socket } = require("phoenix");

const socket = new Socket(`${url.replace("http", "ws")}/socket`, {
  transport: transport === "longpoll" ? LongPoll : require("ws"),
  reconnectAfterMs: () => 20,
  rejoinAfterMs: () => 20,
});
socket.connect();

const shown = /```js\n(let position;\n.*?)```/s.exec(readFileSync(page, "utf8"))[1].replace("room:lobby", "log:restart");
const channel = new Function("socket", `${shown}; return channel;`)(socket);

const tell = (what) => console.log(JSON.stringify(what));
channel.on("added", ({ _values: [number] }) => tell({ added: number }));
channel.join().receive("ok", ({ _recovered }) => tell({ joined: _recovered ?? null }));
