// Who is in a topic, as unmodified clients see it. Usage: node presence.mjs TOPIC PAGE URL...
// A watcher of each kind looks at each URL. Whenever what one sees has changed, a line is printed: {watcher, list}, where the list
// has the number of metas by key; and {watcher, gone} for a key that it was told has left.
// Reads commands, one a line: {"enter": name, "key", "url"}, {"reload": name, "url"}, {"leave": name}; a name is a phoenix.js
// client. Answers each with {"done": name} when the client is in, or away.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [topic, page, ...urls] = process.argv.slice(2);
const require = createRequire(process.env.WEB);
const { LongPoll, Presence, Socket } = require("phoenix");
const { io } = require("socket.io-client");
const { EventSource } = require("eventsource");
const WebSocket = require("ws");
const { connect } = await import(process.env.CLIENT);

const print = (told) => process.stdout.write(JSON.stringify(told) + "\n");
const counted = (entries) => Object.fromEntries(entries.map(([key, { metas }]) => [key, metas.length]).sort());
const soon = () => 50 + Math.random() * 100;

function phoenixSocket(url, transport = WebSocket) {
  const options = { transport, reconnectAfterMs: soon, rejoinAfterMs: soon };
  const socket = new Socket(`${url.replace("http", "ws")}/socket`, options);
  socket.connect();
  return socket;
}

/** Follows the list as docs/guides/presence.md shows it, with whatever hears events. */
const shown = /```js\n(const present = .*?)```/s.exec(readFileSync(page, "utf8"))[1];
const keep = new Function("socket", `${shown}; return present;`);

function follow(watcher, on) {
  const present = keep({
    on: (event, hear) =>
      on(event, (payload) => {
        hear(payload);
        if (event === "presence_diff") {
          for (const gone of Object.keys(payload.leaves)) if (!present.has(gone)) print({ watcher, gone });
        }
        print({ watcher, list: counted([...present].map(([key, metas]) => [key, { metas }])) });
      }),
  });
}

function phoenix(transport) {
  return (watcher, url) => {
    const channel = phoenixSocket(url, transport).channel(topic);
    const presence = new Presence(channel);
    presence.onLeave((gone, { metas }) => metas.length || print({ watcher, gone }));
    presence.onSync(() => print({ watcher, list: counted(Object.entries(presence.state)) }));
    channel.join();
  };
}

function hubbub(transport) {
  return (watcher, url) => {
    const hub = connect(url, { transports: [transport], WebSocket, backoff: { first: 100, most: 200 } });
    const room = hub.join(topic);
    room.presence.onchange = (list) => print({ watcher, list: counted(list.map(({ key, metas }) => [key, { metas }])) });
    room.on("presence_diff", ({ leaves }) => {
      for (const gone of Object.keys(leaves)) if (!room.presence.get(gone)) print({ watcher, gone });
    });
  };
}

const watchers = {
  phoenix: phoenix(WebSocket),
  longpoll: phoenix(LongPoll),
  hubbub: hubbub("websocket"),
  polling: hubbub("polling"),
  socketio(watcher, url) {
    const socket = io(`${url}/${topic}`, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 150 });
    follow(watcher, (event, hear) => socket.on(event, hear));
    socket.on("disconnect", (reason) => reason === "io server disconnect" && socket.connect());
  },
  sse(watcher, url) {
    const source = new EventSource(`${url}/topics/${topic}`);
    follow(watcher, (event, hear) => source.addEventListener(event, ({ data }) => hear(JSON.parse(data))));
  },
  native(watcher, url) {
    const socket = new WebSocket(`${url.replace("http", "ws")}/hubbub/websocket`);
    const heard = {};
    follow(watcher, (event, hear) => (heard[event] = hear));
    socket.onopen = () => socket.send(JSON.stringify({ join: topic, ref: 1 }));
    socket.onmessage = ({ data }) => {
      const { event, payload } = JSON.parse(data);
      heard[event]?.(payload);
    };
    socket.onerror = () => {};
    socket.onclose = () => setTimeout(() => watchers.native(watcher, url), soon());
  },
};

urls.forEach((url, number) => {
  for (const [kind, watch] of Object.entries(watchers)) watch(`${kind} ${number}`, url);
});

const clients = new Map();

function enter(name, key, url) {
  const channel = phoenixSocket(url).channel(topic, { key });
  clients.set(name, channel);
  channel.join().receive("ok", () => print({ done: name }));
}

const commands = {
  enter: ({ enter: name, key, url }) => enter(name, key, url),
  reload({ reload: name, url }) {
    const { socket, params } = clients.get(name);
    socket.disconnect(() => enter(name, params().key, url));
  },
  leave: ({ leave: name }) => clients.get(name).socket.disconnect(() => print({ done: name })),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[Object.keys(command)[0]](command);
}
process.exit(0);
