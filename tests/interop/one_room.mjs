// Every JavaScript client in one room, unmodified. Usage: node one_room.mjs URL TOPIC COUNT
// Prints "ready" when all are in; reads a line, and then each says COUNT things; prints "said". Reads how many each has to hear, and
// prints for each client {"name", "heard": [[who, number, text, data in base64], ...]}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [url, topic, count] = process.argv.slice(2);
const require = createRequire(process.env.WEB);
const { io } = require("socket.io-client");
const msgpack = require("socket.io-msgpack-parser");
const { LongPoll, Socket } = require("phoenix");
const SockJS = require("sockjs-client");
const { EventSource } = require("eventsource");
const WebSocket = require("ws");
const { connect } = await import(process.env.CLIENT);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const message = (number, bytes) => ({ number, text: `${number} \u00e9\u2028\u{1f642}"\\<`, data: bytes(Buffer.from([0, number, 255, 128])) });
const asText = (bytes) => bytes.toString("base64");
const asBytes = (bytes) => bytes;

/** A promise that is settled from outside. */
function later() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

class Client {
  heard = [];

  constructor(name) {
    this.name = name;
    this.params = { name };
  }

  hear({ who, number, text, data }) {
    this.heard.push([who, number, text, typeof data === "string" ? data : Buffer.from(data).toString("base64")]);
  }
}

class SocketIO extends Client {
  constructor(name, options) {
    super(name);
    this.socket = io(`${url}/${topic}`, { forceNew: true, auth: this.params, ...options });
    this.socket.on("said", (said) => this.hear(said));
    this.ready = new Promise((resolve) => this.socket.on("connect", resolve));
  }
  say = (number) => this.socket.emitWithAck("say", message(number, asBytes));
  close = () => this.socket.disconnect();
}

class Phoenix extends Client {
  constructor(name, transport) {
    super(name);
    this.socket = new Socket(`${url.replace("http", "ws")}/socket`, { transport });
    this.socket.connect();
    this.channel = this.socket.channel(topic, this.params);
    this.channel.on("said", (said) => this.hear(said));
    this.ready = new Promise((resolve, reject) => this.channel.join().receive("ok", resolve).receive("error", reject));
  }
  say(number) {
    const push = this.channel.push("say", message(number, asText));
    return new Promise((resolve, reject) => push.receive("ok", resolve).receive("error", reject).receive("timeout", reject));
  }
  close = () => this.socket.disconnect();
}

/** Hubbub's own protocol in JSON, over whatever looks like a WebSocket. */
class Native extends Client {
  #replies = new Map();
  #ready = later();

  constructor(name, socket) {
    super(name);
    this.socket = socket;
    this.ready = this.#ready.promise;
    socket.onopen = () => this.#ask({ join: topic, params: this.params }).then(this.#ready.resolve, this.#ready.reject);
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
  }
  #ask(asked) {
    const ref = this.#replies.size;
    this.#replies.set(ref, later());
    this.socket.send(JSON.stringify({ ...asked, ref }));
    return this.#replies.get(ref).promise;
  }
  #take(told) {
    if (told.event === "said") this.hear(told.payload);
    if ("reply" in told) this.#replies.get(told.reply)[told.ok ? "resolve" : "reject"](told);
  }
  say = (number) => this.#ask({ send: topic, event: "say", payload: message(number, asText) });
  close = () => this.socket.close();
}

class Ours extends Client {
  constructor(name, transport) {
    super(name);
    this.hub = connect(url, { transports: [transport], WebSocket });
    this.room = this.hub.join(topic, this.params);
    this.room.on("said", (said) => this.hear(said));
    this.ready = this.room.joined;
  }
  say = (number) => this.room.send("say", message(number, asText));
  close = () => this.hub.close();
}

class Events extends Client {
  constructor(name) {
    super(name);
    this.source = new EventSource(`${url}/topics/${topic}?name=${encodeURIComponent(name)}`);
    this.source.addEventListener("said", ({ data }) => this.hear(JSON.parse(data)));
    this.ready = new Promise((resolve) => this.source.addEventListener("hubbub.open", ({ data }) => resolve(JSON.parse(data))));
  }
  async say(number) {
    const { connection } = await this.ready;
    const headers = { "content-type": "application/json", "hubbub-connection": connection };
    const body = JSON.stringify(message(number, asText));
    const response = await fetch(`${url}/topics/${topic}/say`, { method: "POST", headers, body });
    if (!response.ok) throw new Error(await response.text());
  }
  close = () => this.source.close();
}

const clients = [
  new SocketIO("socket.io-client, websocket", { transports: ["websocket"] }),
  new SocketIO("socket.io-client, polling", { transports: ["polling"] }),
  new SocketIO("socket.io-client, msgpack", { transports: ["polling", "websocket"], parser: msgpack }),
  new Phoenix("phoenix.js, websocket", WebSocket),
  new Phoenix("phoenix.js, longpoll", LongPoll),
  ...["websocket", "xhr-streaming", "eventsource", "xhr-polling"].map(
    (transport) => new Native(`sockjs-client, ${transport}`, new SockJS(`${url}/sockjs`, null, { transports: transport })),
  ),
  new Native("WebSocket", new WebSocket(`${url.replace("http", "ws")}/hubbub/websocket`)),
  ...["websocket", "sse", "polling"].map((transport) => new Ours(`hubbub.js, ${transport}`, transport)),
  new Events("EventSource and fetch"),
];

await Promise.all(clients.map((client) => client.ready));
console.log("ready");
await lines.next();
await Promise.all(
  clients.map(async (client) => {
    for (let number = 0; number < count; number += 1) await client.say(number);
  }),
);
console.log("said");
const all = Number((await lines.next()).value);
const deadline = Date.now() + 20_000;
while (clients.some((client) => client.heard.length < all) && Date.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 5));
}
for (const client of clients) client.close();
const told = clients.map(({ name, heard }) => JSON.stringify({ name, heard }) + "\n").join("");
process.stdout.write(told, () => process.exit(0));
