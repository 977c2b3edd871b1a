// One client of each kind, each as its own documentation has it. A kind is `{ name, how, open }`; `open(topic, name, hear, state)` gives
// `{ say, close }`, calls `hear(said)` for what is said in the room, and `state(text)` when its line comes and goes.
//
// A browser opens six HTTP/1.1 connections to one host, and all its tabs share them. Five of these clients hold one all the time.

/* global io, Phoenix, SockJS */
import { connect } from "/hubbub/hubbub.min.js";

const IN = "in the room";
const OUT = "offline, and coming back";

const socketIO = (transport) => (topic, name, hear, state) => {
  const socket = io(`/${topic}`, { transports: [transport], forceNew: true, auth: { name } });
  socket.on("connect", () => state(IN));
  socket.on("disconnect", () => state(OUT));
  socket.on("said", hear);
  return { say: (message) => socket.emit("say", message), close: () => socket.disconnect() };
};

const phoenix = (transport) => (topic, name, hear, state) => {
  const socket = new Phoenix.Socket("/socket", transport ? { transport } : {});
  socket.connect();
  const channel = socket.channel(topic, { name });
  channel.on("said", hear);
  channel.onError(() => state(OUT));
  channel.join().receive("ok", () => state(IN));
  return { say: (message) => channel.push("say", message), close: () => socket.disconnect() };
};

/** Hubbub's own protocol, over whatever `make` gives that looks like a WebSocket. */
const native = (make) => (topic, name, hear, state) => {
  const params = { name };
  let socket, position, closed;
  const tell = (message) => socket.send(JSON.stringify(message));
  const open = () => {
    socket = make();
    socket.onopen = () => tell({ join: topic, params, ref: "join", after: position });
    socket.onmessage = ({ data }) => {
      const told = JSON.parse(data);
      position = told.position ?? position;
      if (told.reply === "join" && told.ok) state(IN);
      if (told.event === "said") hear(told.payload);
    };
    socket.onclose = () => {
      state(OUT);
      if (!closed) setTimeout(open, 500 + 1_000 * Math.random());
    };
  };
  open();
  return {
    say: (payload) => tell({ send: topic, event: "say", payload }),
    close() {
      closed = true;
      socket.close();
    },
  };
};

const webSocket = native(() => new WebSocket(`${location.origin.replace("http", "ws")}/hubbub/websocket`));
const sockJS = native(() => new SockJS("/sockjs", null, { transports: "xhr-streaming" }));

const post = (topic, name, message, headers = {}) =>
  fetch(`/topics/${topic}/say?name=${encodeURIComponent(name)}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(message),
  });

function eventSource(topic, name, hear, state) {
  const source = new EventSource(`/topics/${topic}?name=${encodeURIComponent(name)}`);
  let headers = {};
  source.addEventListener("hubbub.open", ({ data }) => {
    headers = { "hubbub-connection": JSON.parse(data).connection };
    state(IN);
  });
  source.addEventListener("error", () => state(OUT));
  source.addEventListener("said", ({ data }) => hear(JSON.parse(data)));
  return { say: (message) => post(topic, name, message, headers), close: () => source.close() };
}

function polling(topic, name, hear, state) {
  const stop = new AbortController();
  const poll = async (query) => {
    const response = await fetch(`/topics/${topic}?${new URLSearchParams({ name, ...query })}`, { signal: stop.signal });
    if (!response.ok) throw new Error(response.statusText);
    return response.json();
  };
  const run = async () => {
    let query = {};
    while (!stop.signal.aborted) {
      try {
        const { events, position } = await poll(query);
        state(IN);
        for (const { event, payload } of events) if (event === "said") hear(payload);
        query = { after: position, wait: 20 };
      } catch {
        state(OUT);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    }
  };
  run();
  return { say: (message) => post(topic, name, message), close: () => stop.abort() };
}

function ours(topic, name, hear, state) {
  const hub = connect();
  const room = hub.join(topic, { name });
  room.on("said", hear);
  room.onjoin = () => state(IN);
  hub.on("down", () => state(OUT));
  return { say: (message) => room.send("say", message).catch(() => {}), close: () => hub.close() };
}

export const kinds = [
  { name: "Socket.IO", how: "socket.io-client, WebSocket", open: socketIO("websocket") },
  { name: "Socket.IO, polling", how: "socket.io-client, HTTP long-polling", open: socketIO("polling") },
  { name: "Phoenix", how: "phoenix.js, WebSocket", open: phoenix() },
  { name: "Phoenix, long poll", how: "phoenix.js, HTTP long-polling", open: phoenix(Phoenix.LongPoll) },
  { name: "SockJS", how: "sockjs-client, xhr-streaming", open: sockJS },
  { name: "WebSocket", how: "the browser's own, JSON", open: webSocket },
  { name: "EventSource", how: "the browser's own, and fetch to send", open: eventSource },
  { name: "Polling", how: "fetch, and nothing else", open: polling },
  { name: "hubbub.js", how: "our client, as it likes", open: ours },
];
