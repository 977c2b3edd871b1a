// Our own client in Node, as it is served. Usage: node hubbub_client.mjs URL TRANSPORT CHECKS
// Prints one line a check, and exits with 1 at the first that fails. A check that needs something done to the server prints what, and
// goes on when it reads a line.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [url, transport, wanted] = process.argv.slice(2);
const { connect, HubbubError } = await import(process.env.CLIENT);
const { WebSocket } = createRequire(process.env.WEB)("ws");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const quick = { WebSocket, backoff: { first: 50, most: 400 } };
const hubs = [];

/** A WebSocket that no proxy lets through. */
class Blocked {
  constructor() {
    Blocked.tries += 1;
    setTimeout(() => this.onclose?.({ code: 1006, reason: "" }));
  }
  close() {}
  static tries = 0;
}

function hub(options = {}, at = url) {
  const made = connect(at, { ...quick, transports: [transport], ...options });
  hubs.push(made);
  return made;
}

async function ask(what) {
  console.log(what);
  return (await lines.next()).value;
}

function within(what, promise, milliseconds = 20_000) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${what}: not in time`)), milliseconds)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** What a room hears: `await heard.next()`, or `heard.all`. */
function hear(room, event = "said") {
  const heard = { all: [], waiting: [] };
  room.on(event, (payload) => {
    heard.all.push(payload);
    heard.waiting.splice(0).forEach((resolve) => resolve());
  });
  heard.count = async (count) => {
    while (heard.all.length < count) {
      await within(`${heard.all.length} of ${count} events`, new Promise((resolve) => heard.waiting.push(resolve)));
    }
    return heard.all;
  };
  return heard;
}

const heardOnce = (emitter, event) => within(event, new Promise((resolve) => emitter.on(event, resolve)));
const fails = (promise, code) => assert.rejects(promise, (error) => error instanceof HubbubError && (assert.equal(error.code, code), true));
const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => String(from + index));
const texts = (heard) => heard.map(({ text }) => text);
let rooms = 0;
const name = () => `room:${transport}-${process.pid}-${++rooms}`;

const checks = {
  async "enters, and has the reply"() {
    const mine = hub();
    const topic = name();
    const room = mine.join(topic, { name: "Ada", age: 36 });
    assert.deepEqual(await within("joined", room.joined), { welcome: topic.slice(5), age: 36 });
    assert.equal(room.state, "joined");
    assert.equal(mine.transport, transport);
    assert.match(room.position, /^.+:0$/);
    assert.equal(mine.join(`/${topic}`), room);
  },
  async "is refused in words"() {
    const mine = hub();
    const [bad, good] = [mine.join(name(), { secret: "wrong" }), mine.join(name())];
    let left;
    bad.onleave = (error) => (left = error);
    await fails(within("refusal", bad.joined), "forbidden");
    assert.equal(left.message, "that is not the secret");
    assert.equal(bad.state, "left");
    await within("joined", good.joined);
    await fails(mine.join("nowhere").joined, "not_found");
    assert.equal(mine.state, "up");
  },
  async "asks for join parameters anew"() {
    const room = hub().join(name(), async () => ({ age: 7 }));
    assert.equal((await within("joined", room.joined)).age, 7);
    const none = hub().join(name(), () => Promise.reject(new HubbubError("signed_out", "no token")));
    await fails(none.joined, "signed_out");
  },
  async "sends, and has replies and refusals"() {
    const room = hub().join(name(), { name: "Ada" });
    const heard = hear(room);
    const position = await room.send("say", "hello");
    assert.deepEqual(await heard.count(1), [{ name: "Ada", text: "hello" }]);
    assert.equal(room.position, position);
    assert.equal(await room.send("nothing"), undefined);
    await fails(room.send("refuse"), "not_today");
    await fails(room.send("say", 5), "invalid");
    await fails(room.send("unheard of"), "not_found");
    await assert.rejects(room.send("say", 1n), TypeError);
  },
  async "sends and gets bytes"() {
    const room = hub().join(name());
    const bytes = Uint8Array.from([0, 1, 2, 253, 254, 255]);
    assert.equal(await room.send("size", bytes), 6);
    assert.equal(await room.send("size", { data: bytes.subarray(1, 3) }), 2);
    assert.equal(await room.send("back", bytes.buffer), Buffer.from(bytes).toString("base64"));
  },
  async "keeps the order of many"() {
    const room = hub({ queue: 300 }).join(name());
    const other = hub().join(room.topic);
    const [mine, theirs] = [hear(room), hear(other)];
    await other.joined;
    await Promise.all(numbers(0, 300).map((text) => room.send("say", text)));
    assert.deepEqual(texts(await mine.count(300)), numbers(0, 300));
    assert.deepEqual(texts(await theirs.count(300)), numbers(0, 300));
  },
  async "has many rooms on one line"() {
    const mine = hub();
    const made = numbers(0, 60).map(() => mine.join(name()));
    await Promise.all(made.map((room) => within("joined", room.joined)));
    const late = mine.join(name());
    const heard = [...made, late].map((room) => hear(room));
    await Promise.all([...made, late].map((room) => room.send("say", room.topic)));
    for (const [index, room] of [...made, late].entries()) assert.deepEqual(texts(await heard[index].count(1)), [room.topic]);
  },
  async "leaves"() {
    const mine = hub();
    const [room, other] = [mine.join(name()), hub().join(`room:${transport}-${process.pid}-${rooms}`)];
    assert.equal(room.topic, other.topic);
    const heard = hear(room);
    await Promise.all([room.joined, other.joined]);
    const waits = room.send("pause", 5);
    room.leave();
    await fails(waits, "left");
    await fails(room.send("say", "x"), "left");
    const again = mine.join(room.topic);
    assert.notEqual(again, room);
    const anew = hear(again);
    await within("joined", again.joined);
    await other.send("say", "after");
    assert.deepEqual(texts(await anew.count(1)), ["after"]);
    assert.deepEqual(heard.all, []);
  },
  async "stops listening"() {
    const room = hub().join(name());
    const heard = hear(room);
    const others = [];
    const stop = room.on("said", ({ text }) => others.push(text));
    await room.send("say", "one");
    await heard.count(1);
    stop();
    await room.send("say", "two");
    await heard.count(2);
    assert.deepEqual(others, ["one"]);
  },
  async "answers the server"() {
    const room = hub().join(name());
    room.on("question", async (question) => `${question}? yes`);
    const heard = hear(room, "answered");
    await room.send("ask me", "really");
    assert.deepEqual(await heard.count(1), ["really? yes"]);
  },
  async "knows who is there"() {
    const topic = name().replace("room", "people");
    const rooms = ["ada", "ben", "ada"].map((name, index) => hub().join(topic, { name, at: index ? "work" : "home" }));
    const places = (present) => present.map(({ key, metas }) => [key, ...metas.map(({ at }) => at).sort()]).sort();
    const sees = ({ presence }, wanted) =>
      within(`${JSON.stringify(wanted)}, not ${JSON.stringify(places(presence.list()))}`, new Promise((resolve) => {
        const look = (present) => JSON.stringify(places(present)) === JSON.stringify(wanted) && resolve();
        presence.onchange = look;
        look(presence.list());
      }));
    for (const room of rooms) await sees(room, [["ada", "home", "work"], ["ben", "work"]]);
    assert.equal(rooms[0].presence.get("ben").metas[0].at, "work");
    await rooms[1].send("move", "the sea");
    for (const room of rooms) await sees(room, [["ada", "home", "work"], ["ben", "the sea"]]);
    rooms[2].leave();
    await sees(rooms[0], [["ada", "home"], ["ben", "the sea"]]);
    rooms[1].leave();
    await sees(rooms[0], [["ada", "home"]]);
    assert.equal(rooms[0].presence.get("ben"), undefined);
  },
  async "is thrown out, and stays out"() {
    const mine = hub();
    const room = mine.join(name());
    await within("joined", room.joined);
    const down = heardOnce(mine, "down");
    await fails(room.send("kick me"), "kicked");
    const { error, delay } = await down;
    assert.equal(error.code, "kicked");
    assert.equal(delay, null);
    assert.equal(mine.state, "closed");
    assert.equal(room.state, "left");
    assert.throws(() => mine.join(name()), { code: "closed" });
  },
  async "gives up waiting"() {
    const room = hub().join(name());
    await within("joined", room.joined);
    await fails(room.send("pause", 2, { timeout: 100 }), "timeout");
  },
  async "bounds what waits without a line"() {
    const mine = hub({ queue: 3 }, "http://127.0.0.1:9"); // "discard": nobody listens there
    const room = mine.join(name());
    const waiting = numbers(0, 3).map((text) => room.send("say", text));
    await fails(room.send("say", "3"), "full");
    const late = room.send("say", "4", { timeout: 1 });
    await fails(late, "full");
    mine.close();
    for (const send of waiting) await fails(send, "closed");
    await fails(room.joined, "closed");
  },
  async "publishes once what it had to send twice"() {
    let cuts = 0;
    const other = hub().join(name());
    const heard = hear(other);
    await within("joined", other.joined);
    class Cut extends WebSocket {
      send(text) {
        super.send(text);
        if (!text.includes("twice") || cuts++) return;
        this.onmessage = null; // the reply does not arrive
        heard.count(1).then(() => this.terminate());
      }
    }
    const cut = async (address, init) => {
      const response = await fetch(address, init);
      if (init.method === "POST" && !cuts++) throw new TypeError("the reply did not arrive");
      return response;
    };
    const room = hub({ WebSocket: Cut, fetch: cut }).join(other.topic);
    const [first, second] = await Promise.all([room.send("say", "twice"), room.send("say", "after")]);
    assert.ok(cuts > 1);
    assert.notEqual(first, second);
    assert.deepEqual(texts(await heard.count(2)), ["twice", "after"]);
    assert.equal(second.split(":")[1], "2");
  },
  async "outlives what its user throws"() {
    const room = hub().join(name());
    const thrown = new Promise((resolve) => process.once("uncaughtException", resolve));
    room.on("said", () => {
      throw new Error("the page's own fault");
    });
    const heard = hear(room);
    await room.send("say", "one");
    await heard.count(1);
    assert.equal((await within("the error", thrown)).message, "the page's own fault");
  },

  // -- with a server that does not stay ----------------------------------------------------------------------------------------------

  async "misses nothing while the server is away"() {
    const mine = hub();
    const topic = name();
    const room = mine.join(topic, { name: "Ada" });
    const heard = hear(room);
    const entries = [];
    room.onjoin = (entry) => entries.push(entry);
    room.ongap = () => assert.fail("there was no gap");
    for (const text of numbers(0, 3)) await room.send("say", text);
    await heard.count(3);
    const down = heardOnce(mine, "down");
    await ask("stop");
    await down;
    const waiting = numbers(100, 105).map((text) => room.send("say", text)); // they wait for the server
    await ask(`start and say 10 in ${topic}`);
    await within("sends", Promise.all(waiting));
    const all = texts(await heard.count(18));
    assert.deepEqual(all.slice(0, 3), numbers(0, 3));
    assert.deepEqual(all.filter((text) => text.startsWith("missed")), numbers(0, 10).map((number) => `missed ${number}`));
    assert.deepEqual(all.filter((text) => text.startsWith("10") && text.length === 3), numbers(100, 105));
    assert.equal(new Set(all).size, 18);
    assert.deepEqual(entries.map(({ again, recovered }) => [again, recovered]), [[false, null], [true, true]]);
    const position = room.position;
    mine.close();
    const resumed = hub().join(topic, {}, { after: `${position.split(":")[0]}:2` });
    assert.equal((await hear(resumed).count(16)).length, 16);
  },
  async "is told of a gap"() {
    const mine = hub();
    const room = mine.join(name());
    const heard = hear(room);
    await room.send("say", "before");
    await heard.count(1);
    const { position } = room;
    const gap = within("gap", new Promise((resolve) => (room.ongap = resolve)), 20_000);
    const entry = new Promise((resolve) => (room.onjoin = resolve));
    const down = heardOnce(mine, "down");
    await ask("stop");
    await down;
    await ask("start");
    await gap;
    assert.deepEqual(await entry, { payload: { welcome: room.topic.slice(5), age: 0 }, again: true, recovered: false });
    await room.send("say", "after"); // the same offset as "before", in another life of the log
    assert.deepEqual(texts(await heard.count(2)), ["before", "after"]);
    assert.notEqual(room.position, position);
  },

  // -- with lines that do not get through ----------------------------------------------------------------------------------------------

  async "falls back from a blocked WebSocket"() {
    const mine = hub({ WebSocket: Blocked, transports: undefined });
    const room = mine.join(name());
    const heard = hear(room);
    await room.send("say", "hello");
    await heard.count(1);
    assert.equal(mine.transport, "sse");
    assert.equal(Blocked.tries, 2);
  },
  async "falls back to polling where streams are blocked too"() {
    let streams = 0;
    const noStreams = (address, init) => {
      if (init.headers?.accept !== "text/event-stream") return fetch(address, init);
      streams += 1;
      return Promise.reject(new TypeError("fetch failed"));
    };
    const mine = hub({ WebSocket: Blocked, fetch: noStreams, transports: undefined });
    const room = mine.join(name());
    const heard = hear(room);
    await room.send("say", "hello");
    await heard.count(1);
    assert.equal(mine.transport, "polling");
    assert.equal(streams, 1);
  },
  async "takes a better line when there is one"() {
    let blocked = true;
    function Sometimes(address) {
      return blocked ? new Blocked() : new WebSocket(address);
    }
    const mine = hub({ WebSocket: Sometimes, transports: undefined, upgrade: 200 });
    const room = mine.join(name());
    const heard = hear(room);
    room.ongap = () => assert.fail("there was no gap");
    await room.send("say", "0");
    assert.equal(mine.transport, "sse");
    blocked = false;
    const up = heardOnce(mine, "up");
    let sent = 1;
    while (mine.transport !== "websocket") {
      await room.send("say", String(sent++));
    }
    await up;
    await room.send("say", String(sent++));
    assert.deepEqual(texts(await heard.count(sent)), numbers(0, sent));
  },
  async "tries all again when the server was away"() {
    const mine = hub({ transports: undefined });
    const room = mine.join(name());
    await within("joined", room.joined);
    const down = heardOnce(mine, "down");
    await ask("stop");
    await down;
    const up = heardOnce(mine, "up");
    await new Promise((resolve) => setTimeout(resolve, 300)); // long enough for every kind of line to fail
    await ask("start");
    await up;
    await within("joined", room.joined);
    assert.equal(await room.send("nothing"), undefined);
  },
};

for (const wantedCheck of wanted.split(";")) {
  try {
    await checks[wantedCheck]();
    console.log(`ok ${wantedCheck}`);
  } catch (error) {
    console.log(`not ok ${wantedCheck}: ${error.stack}`);
    process.exit(1);
  }
  hubs.splice(0).forEach((made) => made.close());
}
process.stdin.unref();
