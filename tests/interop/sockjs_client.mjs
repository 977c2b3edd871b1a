// The npm sockjs-client, unmodified, against Hubbub. Usage: node sockjs_client.mjs URL TRANSPORT
// Inside it speaks Hubbub's own protocol. Prints one line a check, and exits with 1 at the first that fails.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [url, transport] = process.argv.slice(2);
const require = createRequire(process.env.WEB);
const SockJS = require("sockjs-client");
const open = [];

class Client {
  constructor(path = "/sockjs") {
    this.heard = [];
    this.waiting = [];
    this.socket = new SockJS(url + path, null, { transports: transport });
    this.socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    this.opened = new Promise((resolve) => (this.socket.onopen = resolve));
    this.closed = new Promise((resolve) => (this.socket.onclose = resolve));
    open.push(this);
  }

  #take(message) {
    const taker = this.waiting.shift();
    if (taker) taker(message);
    else this.heard.push(message);
  }

  tell(message) {
    this.socket.send(JSON.stringify(message));
  }

  next() {
    if (this.heard.length) return this.heard.shift();
    return within(new Promise((resolve) => this.waiting.push(resolve)), "message");
  }
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within 20 s`)), 20_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function connected() {
  const client = new Client();
  await within(client.opened, "open");
  assert.equal(client.socket.transport, transport);
  assert.equal(typeof (await client.next()).welcome, "string");
  return client;
}

async function joined(params = {}) {
  const client = await connected();
  client.tell({ join: "/", params, ref: "join" });
  assert.deepEqual(await client.next(), { reply: "join", ok: true, topic: "/" });
  assert.equal((await client.next()).event, "welcome");
  return client;
}

const checks = {
  async "opens, joins and is welcomed"() {
    await joined({ name: "Ada" });
  },
  async "is refused in words"() {
    const client = await connected();
    client.tell({ join: "/", params: { secret: "wrong" }, ref: 1 });
    const { ok, error } = await client.next();
    assert.equal(ok, false);
    assert.equal(error.code, "forbidden");
  },
  async "gets replies"() {
    const client = await joined();
    client.tell({ send: "/", event: "text", payload: "hi", ref: 7 });
    assert.deepEqual(await client.next(), { reply: 7, ok: true, payload: "HI" });
  },
  async "hears what others say, in one order"() {
    const [one, other] = [await joined({ name: "one" }), await joined({ name: "other" })];
    for (let number = 0; number < 20; number++) {
      (number % 2 ? one : other).tell({ send: "/", event: "say", payload: `${number}` });
    }
    const heard = [];
    for (const client of [one, other]) {
      const mine = [];
      while (mine.length < 20) mine.push((await client.next()).payload.text);
      heard.push(mine);
    }
    assert.deepEqual(heard[0], heard[1]);
    const evens = heard[0].filter((text) => text % 2 === 0);
    assert.deepEqual(evens, Array.from({ length: 10 }, (_, index) => `${2 * index}`));
  },
  async "sends a burst, whole and in order"() {
    const client = await joined();
    for (let number = 0; number < 300; number++) client.tell({ send: "/", event: "bounce", payload: number });
    for (let number = 0; number < 300; number++) assert.equal((await client.next()).payload, number);
  },
  async "passes any text"() {
    const client = await joined();
    const text = ["déjà", "\u2028\u2029", "\u0000\u001f", "\ufeff\uffff", "🙂", "</script>", '"\\', "\u200d"].join(" ");
    client.tell({ send: "/", event: "bounce", payload: text });
    assert.equal((await client.next()).payload, text);
  },
  async "passes what is longer than one response may be"() {
    const client = await joined();
    const text = "x".repeat(50_000);
    for (let count = 0; count < 5; count++) client.tell({ send: "/", event: "bounce", payload: text });
    for (let count = 0; count < 5; count++) assert.equal((await client.next()).payload, text);
    client.tell({ send: "/", event: "text", payload: "after", ref: 1 });
    assert.equal((await client.next()).payload, "AFTER");
  },
  async "is told why it is thrown out"() {
    const client = await joined();
    client.tell({ send: "/", event: "kick" });
    let told;
    do told = await client.next();
    while (!told.bye);
    assert.deepEqual(told.bye, { code: "kicked", reason: "out", come_back: false });
    const { code, reason, wasClean } = await within(client.closed, "close");
    assert.deepEqual([code, reason, wasClean], [4403, "out", true]);
  },
  async "is told what it said wrong"() {
    const client = await connected();
    client.socket.send("this is no JSON");
    await within(client.closed, "close");
  },
};

try {
  for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(`ok ${name}`);
  }
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
for (const { socket } of open) socket.close();
setTimeout(() => process.exit(), 200).unref();
