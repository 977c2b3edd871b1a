// The npm socket.io-client, unmodified, against Hubbub. Usage: node socketio_client.mjs URL TRANSPORTS PARSER
// Prints one line a check, and exits with 1 at the first that fails.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [url, transports, build] = process.argv.slice(2);
const require = createRequire(process.env.WEB);
const { io } = require("socket.io-client");
const options = { transports: transports.split(","), forceNew: true, reconnection: false };
if (build === "msgpack") options.parser = require("socket.io-msgpack-parser"); // as socket.io.msgpack.min.js has it
const open = [];

function connect(namespace = "/", extra = {}) {
  const socket = io(url + namespace, { ...options, ...extra });
  open.push(socket);
  return socket;
}

function once(emitter, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} within 15 s`)), 15_000);
    emitter.once(event, (...values) => {
      clearTimeout(timer);
      resolve(values.length > 1 ? values : values[0]);
    });
  });
}

async function connected(namespace, extra) {
  const socket = connect(namespace, extra);
  await once(socket, "connect");
  return socket;
}

const checks = {
  async "connects and is welcomed after"() {
    const socket = connect("/", { auth: { name: "Ada" } });
    const order = [];
    socket.on("connect", () => order.push("connect"));
    socket.on("welcome", () => order.push("welcome"));
    assert.deepEqual(await once(socket, "welcome"), { name: "Ada" });
    assert.deepEqual(order, ["connect", "welcome"]);
    assert.equal(typeof socket.id, "string");
  },
  async "upgrades where it may"() {
    const socket = await connected();
    const wanted = transports.split(",").at(-1); // the upgrade may be done before the namespace is joined
    if (socket.io.engine.transport.name !== wanted) await once(socket.io.engine, "upgrade");
    assert.equal(socket.io.engine.transport.name, wanted);
    assert.equal(await socket.emitWithAck("text", "after"), "AFTER");
  },
  async "gets acks with several values"() {
    const socket = await connected();
    const answer = await new Promise((resolve) => socket.emit("echo", 1, "zwei", { 3: [true, null] }, (...values) => resolve(values)));
    assert.deepEqual(answer, [1, "zwei", { 3: [true, null] }]);
  },
  async "sends and gets bytes"() {
    const socket = await connected();
    const bytes = Buffer.from([0, 1, 2, 250, 255]);
    socket.emit("bounce", bytes, { deep: [bytes] });
    const [flat, nested] = await once(socket, "bounced");
    assert.ok(bytes.equals(Buffer.from(flat)));
    assert.ok(bytes.equals(Buffer.from(nested.deep[0])));
    const back = await socket.emitWithAck("echo", bytes);
    assert.ok(bytes.equals(Buffer.from(back)));
  },
  async "sends and gets any text"() {
    const socket = await connected();
    for (const text of ["", "é", "😀", "\u0000\u001e\u2028", "x".repeat(200_000)]) {
      assert.equal(await socket.emitWithAck("echo", text), text);
    }
  },
  async "is refused with message and data"() {
    const socket = connect("/", { auth: { secret: "wrong" } });
    const error = await once(socket, "connect_error");
    assert.equal(error.message, "that is not the secret");
    assert.equal(error.data.code, "forbidden");
  },
  async "is refused where there is nothing"() {
    const error = await once(connect("/nowhere"), "connect_error");
    assert.equal(error.message, "Invalid namespace");
  },
  async "hears what a payload was refused for"() {
    const socket = await connected();
    const { error } = await socket.emitWithAck("text", 5);
    assert.equal(error.code, "invalid");
    assert.match(error.reason, /text/);
    assert.equal((await socket.emitWithAck("text")).error.code, "invalid");
    assert.equal((await socket.emitWithAck("text", "a", "b")).error.code, "invalid");
    assert.equal((await socket.emitWithAck("nothing of the kind")).error.code, "not_found");
    assert.deepEqual((await socket.emitWithAck("refuse")).error, { code: "closed", reason: "not today" });
    assert.equal((await socket.emitWithAck("break")).error.code, "internal");
    assert.equal(await socket.emitWithAck("text", "still here"), "STILL HERE");
  },
  async "sends an object by name and as a whole"() {
    const socket = await connected();
    assert.equal(await socket.emitWithAck("sum", { left: 40, right: 2 }), 42);
    assert.equal(await socket.emitWithAck("text", { text: "named" }), "NAMED");
  },
  async "is served by threads too"() {
    const socket = await connected();
    const pushed = once(socket, "from a thread");
    assert.equal(await socket.emitWithAck("slow", "done"), "done");
    assert.equal(await pushed, "done");
  },
  async "hears everyone, and others but not itself"() {
    const [ada, bob] = await Promise.all([connected("/", { auth: { name: "Ada" } }), connected("/", { auth: { name: "Bob" } })]);
    const heard = [[], []];
    ada.on("said", ({ text }) => heard[0].push(text));
    bob.on("said", ({ text }) => heard[1].push(text));
    await ada.emitWithAck("say", "one");
    await ada.emitWithAck("say to others", "two");
    await bob.emitWithAck("say", "three");
    while (heard[0].length < 2 || heard[1].length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(heard, [["one", "three"], ["one", "two", "three"]]);
  },
  async "hears the rooms it is in"() {
    const [ada, bob] = await Promise.all([connected(), connected()]);
    await ada.emitWithAck("enter", "red");
    const heard = [];
    ada.on("said", ({ text }) => heard.push(["ada", text]));
    bob.on("said", ({ text }) => heard.push(["bob", text]));
    await bob.emitWithAck("say in", "red", "secret");
    await bob.emitWithAck("say", "public");
    while (heard.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(heard.map(String).sort(), ["ada,public", "ada,secret", "bob,public"]);
  },
  async "answers the server"() {
    const socket = await connected();
    socket.on("question", (question, answer) => answer(`to ${question}: 42`));
    socket.emit("ask me", "everything");
    assert.equal(await once(socket, "you answered"), "to everything: 42");
  },
  async "shares one line between namespaces"() {
    const main = await connected("/", { forceNew: false, multiplex: true });
    const log = main.io.socket("/log:shared");
    log.connect();
    open.push(log);
    await once(log, "connect");
    await log.emitWithAck("add", 1);
    assert.equal(await main.emitWithAck("text", "x"), "X");
    log.disconnect();
    assert.equal(await main.emitWithAck("text", "y"), "Y");
  },
  async "is kept by heartbeats"() {
    const socket = await connected();
    let closed = false;
    socket.on("disconnect", () => (closed = true));
    await new Promise((resolve) => setTimeout(resolve, 5500));
    assert.equal(closed, false);
    assert.equal(await socket.emitWithAck("text", "alive"), "ALIVE");
  },
  async "is told when it is thrown out"() {
    const socket = await connected("/", { reconnection: true });
    socket.emit("kick");
    assert.equal((await once(socket, "disconnect"))[0], "io server disconnect");
  },
  async "comes back after its line was cut, and nothing queued is lost"() {
    const socket = await connected("/", { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50 });
    const again = once(socket, "connect");
    socket.io.engine.close();
    const answers = ["a", "b", "c"].map((text) => socket.emitWithAck("text", text));
    await again;
    assert.deepEqual(await Promise.all(answers), ["A", "B", "C"]);
  },
};

// It takes longer than the server would wait for a client that does not answer: beside all others, it costs no time.
const LONG = "is kept by heartbeats";
const kept = checks[LONG]();
kept.catch(() => {}); // it is told in its turn
open.length = 0;

for (const [name, check] of Object.entries(checks)) {
  try {
    await (name === LONG ? kept : check());
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack}`);
    process.exit(1);
  }
  for (const socket of open.splice(0)) socket.disconnect();
}
process.exit(0);
