// The four transports, each a few lines of what the browser itself has. `open(after, course)` begins behind the position `after`, and
// gives `{ close }`. It calls on its course: `live(yes)` when its line stands or is lost, `tick(position, payload)`, `request()` for each
// request, `spend(up, down)` for bytes, `broke()` when the server says that something cannot be had any more.

import * as bytes from "./bytes.js";

const TOPIC = "ticker";
const WAIT = 25; // seconds that a long poll is held when there is nothing to say
const pause = () => 500 + 1_000 * Math.random(); // before the next try, so that not all come back at once

/** `ask(event)` asks the server over the same line, and gives a promise of the answer. This is not counted. */
function webSocket(after, course) {
  const questions = new Map();
  let socket, timer, number = 0;

  function open() {
    socket = new WebSocket(`${location.origin.replace("http", "ws")}/hubbub/websocket`);
    socket.onopen = () => {
      course.request();
      course.spend(bytes.OPENING.webSocket.up, bytes.OPENING.webSocket.down);
      const join = JSON.stringify({ join: TOPIC, ref: "join", after });
      course.spend(bytes.frame(join, true), 0);
      socket.send(join);
    };
    socket.onmessage = ({ data }) => hear(JSON.parse(data), data);
    socket.onclose = () => {
      course.live(false);
      for (const { reject } of questions.values()) reject(new Error("the line broke"));
      questions.clear();
      timer = setTimeout(open, pause());
    };
  }

  function hear(told, text) {
    if (questions.has(told.reply)) {
      questions.get(told.reply).resolve(told.payload);
      questions.delete(told.reply);
      return;
    }
    course.spend(0, bytes.frame(text));
    if (told.reply === "join") {
      course.live(told.ok);
      if (told.recovered === false) course.broke();
      after = told.position ?? after;
    }
    if (told.event === "tick") course.tick((after = told.position), told.payload);
  }

  open();
  return {
    ask(event) {
      if (socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error("there is no line"));
      const ref = (number += 1);
      return new Promise((resolve, reject) => {
        questions.set(ref, { resolve, reject });
        socket.send(JSON.stringify({ send: TOPIC, event, ref }));
      });
    },
    close() {
      clearTimeout(timer);
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      for (const { reject } of questions.values()) reject(new Error("the line was closed"));
    },
  };
}

/** It comes back by itself, and says where it was. */
function eventSource(after, course) {
  let source, timer;

  function open() {
    source = new EventSource(`/topics/${TOPIC}?after=${after}`);
    source.onopen = () => {
      course.request();
      course.spend(bytes.OPENING.eventSource.up, bytes.OPENING.eventSource.down);
    };
    source.onerror = () => {
      course.live(false);
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, pause()); // it was refused, and will not try again
    };
    source.addEventListener("hubbub.open", (event) => {
      course.spend(0, bytes.chunk(`retry: 2000\n${bytes.block(event)}`));
      course.live(true);
    });
    source.addEventListener("hubbub.lost", () => course.broke());
    source.addEventListener("tick", (event) => {
      course.spend(0, bytes.chunk(bytes.block(event)));
      course.tick((after = event.lastEventId), JSON.parse(event.data));
    });
  }

  open();
  return {
    close() {
      clearTimeout(timer);
      source.close();
    },
  };
}

/** One request after the other, each from where the one before has led. `wait`: seconds it may be held; `every`: gives the
 * milliseconds from one to the next. */
const polling = (wait, every) => (after, course) => {
  const stop = new AbortController();
  const unobserve = bytes.observe((url, size) => {
    if (url.searchParams.get("wait") === String(wait)) course.spend(0, size);
  });

  async function poll() {
    const path = `/topics/${TOPIC}?after=${after}&wait=${wait}`;
    course.request();
    course.spend(bytes.requestHead(path), 0);
    const response = await bytes.request(path, stop.signal);
    course.spend(0, bytes.responseHead(response));
    if (!response.ok) throw new Error(response.statusText);
    const { events, position, complete } = await response.json();
    course.live(true);
    if (!complete) course.broke();
    for (const { event, payload, position } of events) if (event === "tick") course.tick(position, payload);
    after = position;
  }

  async function run() {
    while (!stop.signal.aborted) {
      const begun = performance.now();
      let rest = every;
      await poll().catch(() => {
        if (!stop.signal.aborted) course.live(false);
        rest = pause;
      });
      const left = begun + rest() - performance.now();
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    }
  }

  run();
  return {
    close() {
      stop.abort();
      unobserve();
    },
  };
};

/** `interval()` gives the milliseconds from one short poll to the next. */
export const transports = (interval) => [
  { name: "WebSocket", how: "one connection, both ways", open: webSocket },
  { name: "Server-sent events", how: "one response that goes on", open: eventSource },
  { name: "Long polling", how: "a request that waits, then the next", open: polling(WAIT, () => 0) },
  { name: "Short polling", how: "a request now and then", open: polling(0, interval) },
];
