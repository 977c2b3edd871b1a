// The npm phoenix client, unmodified, against Hubbub. Usage: node phoenix_client.mjs URL TRANSPORT
// TRANSPORT is websocket, longpoll, or version1: a WebSocket, and messages as objects.
// Prints one line a check, and exits with 1 at the first that fails.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [url, transport] = process.argv.slice(2);
const require = createRequire(process.env.WEB);
const { LongPoll, Presence, Socket } = require("phoenix");
const WebSocket = require("ws");
const open = [];

const version1 = {
  vsn: "1.0.0",
  encode: ({ topic, event, payload, ref }, send) => send(JSON.stringify({ topic, event, payload, ref })),
  decode: (text, take) => take(JSON.parse(text)),
};

/** A socket that is connected. Its channels have `joined()`, which gives the reply, and `ask()`. */
async function connected(options = {}) {
  const socket = new Socket(`${url.replace("http", "ws")}/socket`, {
    transport: transport === "longpoll" ? LongPoll : WebSocket,
    reconnectAfterMs: () => 20,
    rejoinAfterMs: () => 20,
    ...(transport === "version1" ? version1 : {}),
    ...options,
  });
  open.push(socket);
  const opened = new Promise((resolve) => socket.onOpen(resolve));
  socket.connect();
  await within(opened, "open");
  return socket;
}

function within(promise, what) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what} within 15 s`)), 15_000).unref());
  return Promise.race([promise, late]);
}

async function until(test) {
  const deadline = Date.now() + 15_000;
  while (!test()) {
    if (Date.now() > deadline) throw new Error(`not within 15 s: ${test}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What came of a push: `[status, response]`. */
const outcome = (push) =>
  within(
    new Promise((resolve) => {
      for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve([status, response]));
    }),
    "reply",
  );

async function ask(channel, event, payload, timeout) {
  const [status, response] = await outcome(channel.push(event, payload, timeout));
  assert.equal(status, "ok", JSON.stringify(response));
  return response;
}

const heard = (channel, event) =>
  within(new Promise((resolve) => channel.on(event, (payload, ref) => resolve([payload, ref]))), event);

async function joined(socket, topic = "/", params = {}) {
  const channel = socket.channel(topic, params);
  assert.equal((await outcome(channel.join()))[0], "ok");
  return channel;
}

async function lobby(params, options) {
  return joined(await connected(options), "/", params);
}

const checks = {
  async "joins and is welcomed after"() {
    const socket = await connected();
    const channel = socket.channel("/", { name: "Ada" });
    const order = [];
    channel.on("welcome", (payload) => order.push(payload));
    channel.join().receive("ok", (response) => order.push(response));
    await until(() => order.length === 2);
    assert.deepEqual(order, [{}, { name: "Ada" }]);
  },
  async "hands its socket's parameters to every join"() {
    const socket = await connected({ params: { name: "Ada" } });
    const channel = socket.channel("/");
    const welcome = heard(channel, "welcome");
    channel.join();
    assert.deepEqual((await welcome)[0], { name: "Ada" });
  },
  async "hands its token to every join"() {
    const channel = await joined(await connected({ authToken: "s3cret+/=" }), "token");
    assert.deepEqual(await ask(channel, "token"), { token: "s3cret+/=" });
  },
  async "has a parameter of the long poll's name"() {
    const socket = await connected({ params: { token: "mine" } });
    const channel = await joined(socket, "token");
    assert.deepEqual(await ask(channel, "params"), { token: "mine" });
  },
  async "gets replies"() {
    const channel = await lobby();
    assert.deepEqual(await ask(channel, "echo", { 3: [true, null, "é😀\u2028"] }), { 3: [true, null, "é😀\u2028"] });
    assert.deepEqual(await ask(channel, "echo", {}), {});
    assert.deepEqual(await ask(channel, "echo", { _values: [1, "two"] }), { _values: [1, "two"] });
    assert.deepEqual(await ask(channel, "sum", { left: 40, right: 2 }), { _values: [42] });
    assert.deepEqual(await ask(channel, "say", { text: "x" }), {});
  },
  async "sends and gets bytes"() {
    if (transport === "version1") return; // there is no way to say them
    const channel = await lobby();
    const bytes = Uint8Array.from([0, 1, 2, 250, 255]);
    const bounced = heard(channel, "bounced");
    const answer = await ask(channel, "echo", bytes.buffer);
    channel.push("bounce", bytes.buffer);
    const [pushed] = await bounced;
    if (transport === "longpoll") {
      assert.deepEqual([answer, pushed], [{ _values: ["AAEC+v8="] }, { _values: ["AAEC+v8="] }]);
    } else {
      assert.deepEqual([new Uint8Array(answer), new Uint8Array(pushed)], [bytes, bytes]);
    }
  },
  async "sends and gets any text"() {
    const channel = await lobby();
    for (const text of ["", "é", "😀", "\u0000\u001e\u2028\n", "x".repeat(200_000)]) {
      assert.deepEqual(await ask(channel, "echo", { text }), { text });
    }
  },
  async "is refused with a reason"() {
    const socket = await connected();
    const [status, response] = await outcome(socket.channel("/", { secret: "wrong" }).join());
    assert.deepEqual([status, response], ["error", { reason: "that is not the secret", code: "forbidden" }]);
  },
  async "is refused where there is nothing"() {
    const socket = await connected();
    const [status, response] = await outcome(socket.channel("nowhere").join());
    assert.deepEqual([status, response], ["error", { reason: "unmatched topic" }]);
  },
  async "hears what a payload was refused for"() {
    const channel = await lobby();
    const refusal = async (event, payload) => (await outcome(channel.push(event, payload)))[1];
    assert.deepEqual(await refusal("text", { text: 5 }), { code: "invalid", reason: "text: expected str, got int" });
    assert.equal((await refusal("text")).code, "invalid");
    assert.equal((await refusal("nothing of the kind")).code, "not_found");
    assert.deepEqual(await refusal("refuse"), { code: "closed", reason: "not today" });
    assert.equal((await refusal("break")).code, "internal");
    assert.equal((await refusal("presence_diff", { joins: {} })).code, "not_found");
    assert.deepEqual(await ask(channel, "text", { text: "still here" }), { _values: ["STILL HERE"] });
  },
  async "waits no longer than its timeout"() {
    const channel = await lobby();
    assert.equal((await outcome(channel.push("ask me", { question: "?" }, 50)))[0], "timeout");
  },
  async "hears everyone, and others but not itself"() {
    const [ada, bob] = await Promise.all([lobby({ name: "Ada" }), lobby({ name: "Bob" })]);
    const texts = [[], []];
    ada.on("said", ({ text }) => texts[0].push(text));
    bob.on("said", ({ text }) => texts[1].push(text));
    await ask(ada, "say", { text: "one" });
    await ask(ada, "say to others", { text: "two" });
    await ask(bob, "say", { text: "three" });
    await until(() => texts[0].length >= 2 && texts[1].length >= 3);
    assert.deepEqual(texts, [["one", "three"], ["one", "two", "three"]]);
  },
  async "answers the server"() {
    const channel = await lobby();
    channel.on("question", ({ _values: [question] }, ref) => {
      channel.push("_answer", { ref, value: `to ${question}: 42` });
    });
    const told = heard(channel, "you answered");
    channel.push("ask me", { question: "everything" });
    assert.deepEqual((await told)[0], { _values: ["to everything: 42"] });
  },
  async "has many channels on one socket, and leaves one"() {
    const socket = await connected();
    const [main, log] = [await joined(socket), await joined(socket, "log:shared")];
    const closed = new Promise((resolve) => log.onClose(resolve));
    await ask(log, "add", { number: 1 });
    assert.equal((await outcome(log.leave()))[0], "ok");
    await within(closed, "close");
    assert.deepEqual(await ask(main, "text", { text: "y" }), { _values: ["Y"] });
  },
  async "sends a burst in order"() {
    const channel = await lobby();
    const got = [];
    channel.on("bounced", ({ n }) => got.push(n));
    for (let n = 0; n < 250; n++) channel.push("bounce", { n });
    await until(() => got.length === 250);
    assert.deepEqual(got, [...got.keys()]);
  },
  async "is alive"() {
    const socket = await connected({ heartbeatIntervalMs: 500 });
    let answered = 0;
    socket.onMessage(({ topic }) => (answered += topic === "phoenix" ? 1 : 0));
    await within(new Promise((resolve) => socket.ping(resolve)), "pong");
    if (transport !== "longpoll") await until(() => answered > 1); // its polls are sign enough
    assert.ok(socket.isConnected());
  },
  async "closes one channel of two on a topic"() {
    if (transport === "version1") return; // there nothing tells the two apart
    const socket = await connected();
    const first = await joined(socket);
    const closed = new Promise((resolve) => first.onClose(resolve));
    first.state = "errored"; // so that the client does not leave by itself, as one that has lost count
    const second = await joined(socket);
    await within(closed, "close");
    assert.deepEqual(await ask(second, "text", { text: "y" }), { _values: ["Y"] });
  },
  async "sees who is here"() {
    const told = [];
    const enter = async (name) => (await connected()).channel(`here:${transport}`, { name });
    const ada = await enter("__proto__"); // a key like any other
    const presence = new Presence(ada);
    presence.onJoin((key, before, now) => told.push(["join", key, before?.metas.length ?? 0, now.metas.length]));
    presence.onLeave((key, left, gone) => told.push(["leave", key, left.metas.length, gone.metas.length]));
    let synced = 0;
    presence.onSync(() => synced++);
    assert.equal((await outcome(ada.join()))[0], "ok");
    const names = () => presence.list((key) => key).sort().join();
    await until(() => names() === "__proto__");
    assert.equal(synced, 1);
    const [bob, bobsPhone] = [await enter("Bob"), await enter("Bob")];
    await outcome(bob.join());
    await until(() => names() === "Bob,__proto__");
    await outcome(bobsPhone.join());
    await until(() => presence.state.Bob.metas.length === 2);
    assert.deepEqual(presence.list((_, { metas }) => metas.map(({ colour }) => colour)).at(-1), ["red", "red"]);
    const refs = presence.state.Bob.metas.map((meta) => meta.phx_ref);
    assert.equal(new Set(refs).size, 2);
    await outcome(bob.leave());
    await until(() => presence.state.Bob.metas.length === 1);
    await outcome(bobsPhone.leave());
    await until(() => names() === "__proto__");
    assert.deepEqual(told, [
      ["join", "__proto__", 0, 1],
      ["join", "Bob", 0, 1],
      ["join", "Bob", 1, 1],
      ["leave", "Bob", 1, 1],
      ["leave", "Bob", 0, 1],
    ]);
  },
  async "is told when it is thrown out, and stays out"() {
    for (let time = 0; time < 20; time++) {
      const channel = await lobby();
      const closed = new Promise((resolve) => channel.onClose(resolve));
      channel.push("kick");
      assert.equal((await within(closed, "close")).code, "kicked");
      assert.deepEqual(channel.socket.channels, []);
      channel.socket.disconnect();
    }
  },
  async "comes back after its line was cut, and nothing queued is lost"() {
    const channel = await lobby();
    const again = new Promise((resolve) => channel.socket.onOpen(resolve));
    const conn = channel.socket.conn;
    if (transport === "longpoll") conn.closeAndRetry("cut", 1011, "cut", false);
    else conn.terminate();
    const answers = ["a", "b", "c"].map((text) => ask(channel, "text", { text }));
    await within(again, "second connection");
    assert.deepEqual((await Promise.all(answers)).map(({ _values: [text] }) => text), ["A", "B", "C"]);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack}`);
    process.exit(1);
  }
  for (const socket of open.splice(0)) socket.disconnect();
}
process.exit(0);
