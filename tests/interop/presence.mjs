// Who is in a topic, as unmodified clients see it. Usage: node presence.mjs TOPIC URL...
// A watcher of each kind looks at each URL. Whenever what one sees has changed, a line is printed: {watcher, list}, where the list
// has the number of metas by key; and {watcher, gone} for a key that it was told has left.
// Reads commands, one a line: {"enter": name, "key", "url"}, {"reload": name, "url"}, {"leave": name}; a name is a phoenix.js
// client. Answers each with {"done": name} when the client is in, or away.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [topic, ...urls] = process.argv.slice(2);
const require = createRequire(process.env.WEB);
const { Presence, Socket } = require("phoenix");
const { io } = require("socket.io-client");
const { EventSource } = require("eventsource");
const WebSocket = require("ws");
const { connect } = await import(process.env.CLIENT);

const print = (told) => process.stdout.write(JSON.stringify(told) + "\n");
const counted = (entries) => Object.fromEntries(entries.map(([key, { metas }]) => [key, metas.length]).sort());
const soon = () => 50 + Math.random() * 100;

function phoenixSocket(url) {
  const options = { transport: WebSocket, reconnectAfterMs: soon, rejoinAfterMs: soon };
  const socket = new Socket(`${url.replace("http", "ws")}/socket`, options);
  socket.connect();
  return socket;
}

/** Keeps the list by itself, as docs/guides/presence.md says it can be done. */
class List {
  constructor(watcher) {
    this.watcher = watcher;
    this.present = new Map();
  }

  state(present) {
    this.present = new Map(Object.entries(present));
    print({ watcher: this.watcher, list: counted([...this.present]) });
  }

  diff({ joins, leaves }) {
    const without = (key, { metas }) => {
      const named = new Set(metas.map((meta) => meta.phx_ref));
      return (this.present.get(key)?.metas ?? []).filter((meta) => !named.has(meta.phx_ref));
    };
    for (const [key, someone] of Object.entries(joins)) {
      this.present.set(key, { metas: [...without(key, someone), ...someone.metas] });
    }
    for (const [key, someone] of Object.entries(leaves)) {
      const metas = without(key, someone);
      if (metas.length) this.present.set(key, { metas });
      else if (this.present.delete(key)) print({ watcher: this.watcher, gone: key });
    }
    print({ watcher: this.watcher, list: counted([...this.present]) });
  }
}

const watchers = {
  phoenix(watcher, url) {
    const channel = phoenixSocket(url).channel(topic);
    const presence = new Presence(channel);
    presence.onLeave((gone, { metas }) => metas.length || print({ watcher, gone }));
    presence.onSync(() => print({ watcher, list: counted(Object.entries(presence.state)) }));
    channel.join();
  },
  hubbub(watcher, url) {
    const hub = connect(url, { transports: ["websocket"], WebSocket, backoff: { first: 100, most: 200 } });
    const room = hub.join(topic);
    room.presence.onchange = (list) => print({ watcher, list: counted(list.map(({ key, metas }) => [key, { metas }])) });
    room.on("presence_diff", ({ leaves }) => {
      for (const gone of Object.keys(leaves)) if (!room.presence.get(gone)) print({ watcher, gone });
    });
  },
  socketio(watcher, url) {
    const list = new List(watcher);
    const socket = io(`${url}/${topic}`, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 150 });
    socket.on("presence_state", (state) => list.state(state));
    socket.on("presence_diff", (diff) => list.diff(diff));
    socket.on("disconnect", (reason) => reason === "io server disconnect" && socket.connect());
  },
  sse(watcher, url) {
    const list = new List(watcher);
    const source = new EventSource(`${url}/topics/${topic}`);
    source.addEventListener("presence_state", ({ data }) => list.state(JSON.parse(data)));
    source.addEventListener("presence_diff", ({ data }) => list.diff(JSON.parse(data)));
  },
  native(watcher, url) {
    const list = new List(watcher);
    const socket = new WebSocket(`${url.replace("http", "ws")}/hubbub/websocket`);
    socket.onopen = () => socket.send(JSON.stringify({ join: topic, ref: 1 }));
    socket.onmessage = ({ data }) => {
      const { event, payload } = JSON.parse(data);
      if (event === "presence_state") list.state(payload);
      if (event === "presence_diff") list.diff(payload);
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
