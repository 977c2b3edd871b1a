// One server, from this client's side: the line to it, what happens when that breaks, and what waits for a reply.
//
// Which line: the best that is known to work. One that does not get through gives way to the next; when none does, the server is away,
// and after a pause the search begins at the best again. From a lesser line, better ones are tried beside it now and then.
import { HubbubError } from "./errors.js";
import { encode } from "./json.js";
import { polling } from "./lines/polling.js";
import { sse } from "./lines/sse.js";
import { websocket } from "./lines/websocket.js";
import { Listeners } from "./listeners.js";
import { Room } from "./room.js";

const LINES = { websocket, sse, polling };
/** A line that has lived so long does work, even if nothing was said on it. */
const STEADY = 5_000;
/** The server knows the id of a send again for ten minutes: whoever retries later may do it twice. */
const LATEST_RETRY = 9 * 60_000;
const LATEST_UPGRADE = 600_000;

export class Hub extends Listeners {
  state = "down";
  transport = null;
  id = null;
  _rooms = new Map();
  /** Sends without a reply yet, by their ref, in the order in which they were made. */
  _sends = new Map();
  _refs = 0;
  _name = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  _line = null;
  /** A better line that is being tried beside the one there is. */
  _candidate = null;
  _level = 0;
  _tries = 0;
  _strikes = 0;
  _timers = {};

  constructor(url, options) {
    super();
    this.url = url;
    this._options = options;
    const { transports = Object.keys(LINES), WebSocket = globalThis.WebSocket } = options;
    this._names = transports.filter((name) => LINES[name] && (name !== "websocket" || WebSocket));
    if (!this._names.length) throw new TypeError("none of these transports is to be had here");
    this._level = Math.max(0, this._names.indexOf(remember(url)));
    this._online = () => this._timers.open && this._open();
    globalThis.addEventListener?.("online", this._online);
  }

  join(topic, params, { after } = {}) {
    if (this.state === "closed") throw new HubbubError("closed", "the hub is closed");
    if (topic !== "/") topic = topic.replace(/^\//, "");
    let room = this._rooms.get(topic);
    if (!room) {
      room = new Room(this, topic, params, after);
      this._rooms.set(topic, room);
      if (this.state === "up") this._enter(room);
      else if (!this._line) this._later("open", 0, () => this._open()); // with the other rooms that are joined in this turn
    }
    return room;
  }

  close() {
    this._close(new HubbubError("closed", "the hub was closed"));
  }

  // -- what rooms ask --------------------------------------------------------------------------------------------------------------

  _send(room, event, payload, { id, timeout = this._options.timeout ?? 30_000 } = {}) {
    return new Promise((resolve, reject) => {
      if (room.state === "left") throw new HubbubError("left", "the room was left");
      const most = this._options.queue ?? 256;
      if (this._sends.size >= most) throw new HubbubError("full", `${most} messages wait already`);
      const ref = ++this._refs;
      const message = { send: room.topic, event, payload, ref, id: id ?? `${this._name}${ref}` };
      const text = encode(message);
      const timer = setTimeout(() => {
        this._sends.delete(ref);
        reject(new HubbubError("timeout", `no reply to ${event} in time`));
      }, Math.min(timeout, LATEST_RETRY));
      const settle = (error, value) => {
        clearTimeout(timer);
        this._sends.delete(ref);
        if (error) reject(error);
        else resolve(value);
      };
      this._sends.set(ref, { room, message, text, settle });
      if (room.state === "joined") this._line.tell(message, text);
    });
  }

  /** Say, in order, what waits for this room or was under way when the line broke: its id makes it one with what arrived. */
  _flush(room) {
    for (const send of this._sends.values()) if (send.room === room) this._line?.tell(send.message, send.text);
  }

  _tell(message) {
    this._line?.tell(message);
  }

  _leave(room) {
    if (this.state === "up") this._line.tell({ leave: room.topic });
    room._out();
  }

  _forget(room, error) {
    if (this._rooms.get(room.topic) === room) this._rooms.delete(room.topic);
    for (const send of [...this._sends.values()]) if (send.room === room) send.settle(error);
  }

  _enterLater(room) {
    room._wait();
    const line = this._line;
    this._later(`enter ${room.topic}`, this._pause(3), () => line === this._line && this._enter(room));
  }

  /** The server took us out. */
  _taken(room, { code, reason, come_back }) {
    if (come_back) this._enterLater(room);
    else room._out(new HubbubError(code, reason));
  }

  async _enter(room) {
    const line = this._line;
    const join = await this._ask(room, line);
    if (join && line === this._line) line.tell(join);
  }

  /** The join of this room on this line; nothing if there is none to be had. */
  async _ask(room, line) {
    const ref = ++this._refs;
    line.asked.set(ref, room);
    try {
      const join = await room._ask(ref);
      return room.state === "joining" || line === this._candidate ? join : undefined;
    } catch (error) {
      room._out(error);
    }
  }

  // -- lines -----------------------------------------------------------------------------------------------------------------------

  /** Open the line of this level: as the one there is, or beside it. */
  async _open(level = this._level, beside = false) {
    this._stop("open");
    const line = { name: this._names[level], asked: new Map(), since: Infinity, proven: false, tell() {}, close() {} };
    if (beside) this._candidate = line;
    else this._line = line;
    const standing = () => line === this._line || line === this._candidate;
    const joins = (await Promise.all([...this._rooms.values()].map((room) => this._ask(room, line)))).filter(Boolean);
    if (!standing()) return;
    if (!joins.length) {
      if (beside) this._candidate = null;
      else this._line = null;
      return;
    }
    const { url, _options: options } = this;
    const ended = (why) => standing() && this._ended(line, level, why);
    const late = setTimeout(() => ended({ reason: "the line did not open in time" }), options.patience ?? 10_000);
    const heard = (message) => {
      clearTimeout(late);
      if (standing()) this._heard(line, level, message);
    };
    Object.assign(line, LINES[line.name]({ url, joins, options, heard, ended }));
    const { close } = line;
    line.close = () => {
      clearTimeout(late);
      close();
    };
  }

  _heard(line, level, message) {
    if (message.welcome !== undefined) return this._stand(line, level, message.welcome);
    if (!line.proven) this._prove(line, level);
    const { reply, ok, error, left, lost, topic } = message;
    if (message.bye) return this._ended(line, level, message.bye);
    if (line !== this._line) return;
    if (reply !== undefined) {
      const room = line.asked.get(reply);
      if (room && room.state === "joining") ok ? room._entered(message) : room._refused(error);
      const fault = ok ? undefined : new HubbubError(error.code, error.reason);
      if (!room) this._sends.get(reply)?.settle(fault, message.payload);
    } else if (left !== undefined) {
      if (this._rooms.has(left)) this._taken(this._rooms.get(left), error);
    }
    else if (lost !== undefined) this._rooms.get(lost)?._lost(message.position);
    else if (message.event !== undefined) this._rooms.get(topic)?._told(message);
    else if (error) this._announce("error", new HubbubError(error.code, error.reason));
  }

  /** The line stands: it is the one from now on. */
  _stand(line, level, id) {
    if (line === this._candidate) {
      this._candidate = null;
      this._line.close();
      this._line = line;
      this._level = level;
      for (const room of this._rooms.values()) room._wait();
    }
    line.since = Date.now();
    this.id = id;
    this.state = "up";
    this.transport = line.name;
    if (level > 0) this._improve(this._options.upgrade ?? 60_000);
    this._announce("up", { transport: line.name });
    const asked = new Set(line.asked.values());
    for (const room of asked) if (room.state === "left") line.tell({ leave: room.topic });
    for (const room of this._rooms.values()) if (!asked.has(room)) this._enter(room);
  }

  /** Something was said on the line, so this way to the server is open. */
  _prove(line, level) {
    line.proven = true;
    this._strikes = 0;
    remember(this.url, this._names[level]);
  }

  _improve(pause) {
    this._later("upgrade", pause, () => this._open(0, true));
    this._next = Math.min(pause * 2, LATEST_UPGRADE);
  }

  _ended(line, level, { code = "lost", reason, come_back, delay }) {
    line.close();
    const error = new HubbubError(code, reason);
    if (come_back === false) return this._close(error);
    if (line === this._candidate) {
      this._candidate = null;
      if (level + 1 < this._level) this._open(level + 1, true);
      else this._improve(this._next);
      return;
    }
    this._stop("upgrade");
    this._candidate?.close();
    this._line = this._candidate = null;
    const wait = this._fail(line, delay);
    const up = this.state === "up";
    this.state = "down";
    this.transport = null;
    for (const room of this._rooms.values()) room._wait();
    if (this._rooms.size) this._later("open", wait, () => this._open());
    if (up) this._announce("down", { error, delay: wait });
  }

  _close(error) {
    if (this.state === "closed") return;
    const up = this.state === "up";
    this.state = "closed";
    this.transport = null;
    this._line?.close();
    this._candidate?.close();
    this._line = this._candidate = null;
    Object.keys(this._timers).forEach((name) => this._stop(name));
    globalThis.removeEventListener?.("online", this._online);
    for (const room of [...this._rooms.values()]) room._out(error);
    if (up) this._announce("down", { error, delay: null });
  }

  /** Choose the level of the next line, and how long to wait for it. */
  _fail(line, delay) {
    if (Date.now() - line.since > STEADY) {
      this._tries = 0;
      line.proven = true;
    }
    if (!line.proven) {
      const lesser = this._level + 1;
      if (lesser < this._names.length && (++this._strikes > 1 || line.name !== "websocket")) {
        this._level = lesser;
        this._strikes = 0;
        return 0;
      }
      if (lesser === this._names.length) this._level = 0;
    }
    return delay ?? this._pause(this._tries++);
  }

  /** Full jitter: when a server returns, its clients do not all come at once. */
  _pause(tries) {
    const { first = 1_000, most = 30_000 } = this._options.backoff ?? {};
    return Math.random() * Math.min(most, first * 2 ** tries);
  }

  _later(name, delay, work) {
    this._stop(name);
    this._timers[name] = setTimeout(work, delay);
  }

  _stop(name) {
    clearTimeout(this._timers[name]);
    delete this._timers[name];
  }
}

/** What worked, for the next page of this visit; where pages may not keep such things, and in workers, it is found out again. */
function remember(url, name) {
  try {
    if (name === undefined) return sessionStorage.getItem(`hubbub ${url}`);
    sessionStorage.setItem(`hubbub ${url}`, name);
  } catch {}
}
