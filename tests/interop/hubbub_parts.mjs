// The client's own reader of event streams, and its order of things where no server is needed. Run by test_hubbub_client.py.
import assert from "node:assert/strict";
import { mock, test } from "node:test";

const { eventReader } = await import(`${process.env.CLIENT}/lines/events.js`);
const { Presence } = await import(`${process.env.CLIENT}/presence.js`);
const { Hub } = await import(`${process.env.CLIENT}/hub.js`);
const { encode } = await import(`${process.env.CLIENT}/json.js`);

/** What is told of this text, in one piece, byte by byte, and in pieces cut at each place. */
function read(text) {
  const bytes = new TextEncoder().encode(text);
  const cuts = [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))];
  for (let at = 1; at < bytes.length; at++) cuts.push([bytes.subarray(0, at), bytes.subarray(at)]);
  const outcomes = cuts.map((pieces) => {
    const told = [];
    const take = eventReader((event) => told.push(event));
    const decoder = new TextDecoder();
    for (const piece of pieces) take(decoder.decode(piece, { stream: true }));
    return told;
  });
  for (const outcome of outcomes) assert.deepEqual(outcome, outcomes[0]);
  return outcomes[0];
}

for (const [what, text, told] of [
  ["an event", "event: said\ndata: 1\n\n", [{ event: "said", data: "1" }]],
  ["an event without a name", "data: 1\n\n", [{ event: "message", data: "1" }]],
  ["one space is taken away", "data:1\n\ndata:  2\n\n", [{ event: "message", data: "1" }, { event: "message", data: " 2" }]],
  ["several lines of data", "data: a\ndata:\ndata: b\n\n", [{ event: "message", data: "a\n\nb" }]],
  ["a field without a colon", "data\n\n", [{ event: "message", data: "" }]],
  ["an event without data is none", "event: said\n\ndata: 1\n\n", [{ event: "message", data: "1" }]],
  ["what is not ended is not told", "data: 1\n\ndata: 2\n", [{ event: "message", data: "1" }]],
  ["CRLF", "event: said\r\ndata: 1\r\ndata: 2\r\n\r\ndata: 3\r\n\r\n", [{ event: "said", data: "1\n2" }, { event: "message", data: "3" }]],
  ["CR", "data: 1\rdata: 2\r\rdata: 3\n\n", [{ event: "message", data: "1\n2" }, { event: "message", data: "3" }]],
  ["code points of every length", "data: aé€😀\n\n", [{ event: "message", data: "aé€😀" }]],
  ["other kinds of line ends are none", "data: a\u2028b\u0085c\n\n", [{ event: "message", data: "a\u2028b\u0085c" }]],
  ["a byte order mark", "\ufeffdata: 1\n\n", [{ event: "message", data: "1" }]],
  ["comments", ": hello\n:\n\n", [{}, {}]],
  ["the time to wait", "retry: 1500\nretry: soon\nretry: 1.5\nretry:\n\n", [{ retry: 1500 }]],
  ["fields of no meaning here", "id: a:1\nother: x\ndata: 1\n\n", [{ event: "message", data: "1" }]],
]) {
  test(what, () => assert.deepEqual(read(text), told));
}

test("presence: who came, came again, and left", () => {
  const presence = new Presence();
  const meta = (ref, rest) => ({ metas: [{ phx_ref: ref, ...rest }] });
  assert.equal(presence._take("said", {}), false);
  presence._take("presence_state", { ada: meta("1"), ben: meta("2") });
  presence._take("presence_diff", { joins: { ada: meta("3"), eve: meta("4") }, leaves: { ben: meta("2"), nobody: meta("9") } });
  assert.deepEqual(presence.list(), [
    { key: "ada", metas: [{ phx_ref: "1" }, { phx_ref: "3" }] },
    { key: "eve", metas: [{ phx_ref: "4" }] },
  ]);
  // An update is a join of the new meta and a leave of the old.
  presence._take("presence_diff", { joins: { eve: meta("5", { at: "work" }) }, leaves: { eve: meta("4") } });
  assert.deepEqual(presence.get("eve"), { metas: [{ phx_ref: "5", at: "work" }] });
  presence._take("presence_diff", { joins: { ada: meta("3", { told: "twice" }) }, leaves: {} });
  assert.deepEqual(presence.get("ada"), { metas: [{ phx_ref: "1" }, { phx_ref: "3", told: "twice" }] });
  presence._take("presence_state", { zoe: meta("6"), __proto__: null, constructor: meta("7") });
  assert.deepEqual(presence.list().map(({ key }) => key), ["zoe", "constructor"]);
});

test("bytes are base64 text, whatever holds them", () => {
  const { buffer } = Uint8Array.from([250, 251, 252, 253]);
  assert.equal(encode({ a: buffer, b: [new Uint8Array(buffer, 1, 2), new DataView(buffer, 3)] }), '{"a":"+vv8/Q==","b":["+/w=","/Q=="]}');
  assert.equal(encode(new Uint8Array(200_000)).length, 266_670);
});

/** A hub on whose lines nothing arrives but what the test says, and a clock of the test's. */
function alone(chance, use, options = { transports: ["websocket"] }) {
  return async () => {
    const attempts = [];
    class Line {
      constructor() {
        attempts.push(this);
      }
      send() {}
      close() {}
    }
    const { random } = Math;
    Math.random = () => chance;
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const hub = new Hub("http://nowhere", { WebSocket: Line, ...options });
    const pass = async (milliseconds) => {
      mock.timers.tick(milliseconds);
      for (let turn = 0; turn < 20; turn++) await null;
    };
    try {
      hub.join("room:a").joined.catch(() => {});
      await pass(1);
      await use({ hub, attempts, pass });
    } finally {
      hub.close();
      mock.timers.reset();
      Math.random = random;
    }
  };
}

const refuse = (line) => line.onclose({ code: 1006, reason: "" });
const say = (line, message) => line.onmessage({ data: JSON.stringify(message) });
const welcome = (line) => say(line, { welcome: "w" });

test("the pauses grow to a most", alone(1, async ({ attempts, pass }) => {
  const pauses = [1, 2, 4, 8, 16, 30, 30, 30];
  for (const [times, seconds] of pauses.entries()) {
    refuse(attempts.at(-1));
    await pass(seconds * 1000 - 1);
    assert.equal(attempts.length, times + 1);
    await pass(1);
    assert.equal(attempts.length, times + 2);
  }
}));

test("a pause is left to chance, from nothing on", alone(0, async ({ attempts, pass }) => {
  for (let times = 0; times < 3; times++) {
    refuse(attempts.at(-1));
    await pass(0);
  }
  assert.equal(attempts.length, 4);
}));

test("who was told not to come back does not", alone(1, async ({ hub, attempts, pass }) => {
  welcome(attempts[0]);
  say(attempts[0], { bye: { code: "banned", reason: "for good", come_back: false } });
  await pass(600_000);
  assert.equal(attempts.length, 1);
  assert.equal(hub.state, "closed");
}));

test("a server that says nothing at all is asked, and given up", alone(0, async ({ hub, attempts, pass }) => {
  welcome(attempts[0]);
  await pass(25_000);
  assert.equal(hub.state, "up");
  await pass(25_000);
  say(attempts[0], { pong: 1 });
  await pass(50_000);
  assert.equal(hub.state, "up");
  await pass(25_000);
  assert.equal(hub.state, "down");
}));

test("a line that does not open in time is given up", alone(0, async ({ attempts, pass }) => {
  await pass(10_000);
  await pass(0);
  assert.equal(attempts.length, 2);
}));

test("what was told already is not told again, and a new life of the log is a gap", alone(1, async ({ hub, attempts }) => {
  const [line] = attempts;
  const room = hub.join("room:a");
  const heard = [];
  room.on("said", (payload) => heard.push(payload));
  room.ongap = () => heard.push("gap");
  const told = (position, payload) => say(line, { topic: "room:a", event: "said", payload, position });
  welcome(line);
  say(line, { reply: 1, ok: true, topic: "room:a", position: "e:9" });
  for (const offset of [9, 10, 10, 8, 11]) told(`e:${offset}`, offset);
  told(undefined, "for me alone");
  told("f:1", "anew");
  told("f:1", "anew");
  assert.deepEqual(heard, [10, 11, "for me alone", "gap", "anew"]);
  assert.equal(room.position, "f:1");
}));

/** An event stream on which one is in, and nothing happens. */
async function fetch() {
  const opening = new TextEncoder().encode('event: hubbub.open\ndata: {"connection":"c","id":"i","topics":{"room:a":{}}}\n\n');
  const body = new ReadableStream({ start: (stream) => stream.enqueue(opening) });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

test("a better line is tried ever more seldom", alone(0, async ({ hub, attempts, pass }) => {
  for (let times = 0; times < 2; times++) {
    refuse(attempts.at(-1));
    await pass(1);
  }
  while (hub.state !== "up") await new Promise(setImmediate);
  assert.equal(hub.transport, "sse");
  for (const [times, seconds] of [250, 500, 600, 600].entries()) {
    await pass(seconds * 1000 - 1);
    assert.equal(attempts.length, times + 2);
    await pass(1);
    assert.equal(attempts.length, times + 3);
    refuse(attempts.at(-1));
    await pass(0);
  }
  assert.equal(hub.transport, "sse");
}, { fetch, transports: ["websocket", "sse"], upgrade: 250_000, pulse: 10_000_000 }));
