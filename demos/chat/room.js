// One room: what was said in it, what was written here but is not said yet, who is here, and the socket to it.
//
// Rules:
// 1. `cursor` is the position of the last message in `messages`. Coming back, the room asks for what followed it and
//    gets all of that as one page, so that it can say how much was missed; or is told that it must start afresh. What
//    Socket.IO recovers by itself comes behind that page, and is known already.
// 2. A message is written to the outbox under an id of its own, and leaves it when it is seen in the log. It may be
//    sent again under the same id: the server makes one publication of both.
// 3. What comes twice is known by its author and id, or by its position, and taken once.

import { keep, recall, token } from "./store.js";

const PATIENCE = 10_000; // milliseconds for the server to confirm a message, before it is sent again
const PAUSE = 1_500; // milliseconds before going on when the server says "too many"
const TYPING = 4_000; // milliseconds that "is typing" is shown for
const TELL_TYPING = 2_500; // milliseconds before it is told again: less than it is shown for

export class Room extends EventTarget {
  messages = [];
  people = [];
  count = 0;
  cursor = null;
  you = "";
  draft = "";
  unread = 0;
  firstUnread = null;
  /** Whether there are older messages to ask for. */
  more = false;
  /** Whether the last messages are there, so that new ones can be sent. */
  ready = false;
  /** What the server said when it did not let us in. */
  refusal = "";

  #socket;
  #typists = new Map();
  #known = new Set();
  #toldTyping = 0;
  #sending = false;
  #loading = false;

  constructor(name, manager, me) {
    super();
    this.name = name;
    this.outbox = recall(`outbox.${name}`, [], "sessionStorage").map((item) => ({ ...item, state: "waiting" }));
    const auth = (tell) => tell({ name: me.name, secret: me.secret, after: this.cursor });
    const socket = (this.#socket = manager.socket(`/room:${name}`, { auth }));
    socket.on("past", (page) => this.#catchUp(page));
    socket.on("said", (said, position) => this.#hear(said, position));
    socket.on("here", ({ count, people }) => this.#meet(count, people));
    socket.on("typing", (person) => this.#type(person));
    socket.on("connect_error", (error) => this.#refused(socket, error));
    socket.on("disconnect", (reason) => this.#part(reason));
  }

  open() {
    this.refusal = "";
    this.#socket.connect();
  }

  close() {
    this.#socket.disconnect();
  }

  // -- what a person does --------------------------------------------------------------------------------------------

  say(text) {
    this.outbox.push({ id: token(), text, at: Date.now(), state: "waiting" });
    this.#toldTyping = 0;
    this.#boxChanged();
    this.#send();
  }

  again(id) {
    const item = this.outbox.find((each) => each.id === id);
    if (item) item.state = "waiting";
    this.#boxChanged();
    this.#send();
  }

  takeBack(id) {
    const item = this.outbox.find((each) => each.id === id);
    this.outbox = this.outbox.filter((each) => each !== item);
    this.#boxChanged();
    return item?.text ?? "";
  }

  typing() {
    if (!this.ready || Date.now() < this.#toldTyping + TELL_TYPING) return;
    this.#toldTyping = Date.now();
    this.#socket.volatile.emit("typing");
  }

  rename(name) {
    if (this.#socket.connected) this.#socket.emit("rename", { name });
  }

  /** Load older messages. Says whether any came. */
  async older() {
    if (this.#loading || !this.ready || !this.more || !this.messages.length) return false;
    this.#loading = true;
    try {
      const page = await this.#socket.timeout(PATIENCE).emitWithAck("older", { before: this.messages[0].position });
      if (page.error) return false;
      const older = this.#unknown(page.said);
      this.messages.unshift(...older);
      this.more = older.length > 0 && !page.complete;
      this.#tell("messages");
      return older.length > 0;
    } catch {
      return false; // the line broke; scrolling up once more asks again
    } finally {
      this.#loading = false;
    }
  }

  // -- what the server says ------------------------------------------------------------------------------------------

  #catchUp({ said, position, complete, resumed, you }) {
    const afresh = !resumed && this.cursor !== null;
    this.you = you;
    if (!resumed) {
      this.messages = [];
      this.#known.clear();
      this.more = !complete;
      this.outbox = this.outbox.filter((item) => item.state !== "sent");
    }
    const news = this.#unknown(said);
    this.messages.push(...news);
    this.cursor = position;
    this.ready = true;
    this.refusal = "";
    this.#confirm(news);
    this.#tell("state");
    this.#tell("messages");
    this.#tell("caught-up", { news, resumed, afresh });
    this.#send();
  }

  /** A live message, and its position in the log. */
  #hear(said, position) {
    const news = this.#unknown([[[said], position]]);
    if (!news.length) return;
    this.cursor = position;
    this.messages.push(...news);
    for (const message of news) this.#typists.delete(message.who);
    this.#confirm(news);
    this.#tell("messages");
    this.#tell("typing");
    this.#tell("news", { news });
  }

  #meet(count, people) {
    this.count = count;
    this.people = people;
    const here = new Set(people.map((person) => person.who));
    for (const who of this.#typists.keys()) if (!here.has(who)) this.#typists.delete(who);
    this.#tell("people");
    this.#tell("typing");
  }

  #type({ who, name }) {
    if (who === this.you) return; // another tab of ours
    clearTimeout(this.#typists.get(who)?.timer);
    const forget = () => this.#typists.delete(who) && this.#tell("typing");
    this.#typists.set(who, { name, timer: setTimeout(forget, TYPING) });
    this.#tell("typing");
  }

  get typists() {
    return Array.from(this.#typists.values(), (person) => person.name);
  }

  #refused(socket, error) {
    if (socket.active) return; // the line could not be opened: the manager tries again
    this.refusal = error.message;
    this.#tell("state");
  }

  #part(reason) {
    this.ready = false;
    this.#meet(0, []);
    if (reason === "io server disconnect") this.refusal = "The server took you out of this room.";
    this.#tell("state");
  }

  // -- inside --------------------------------------------------------------------------------------------------------

  /** Send what waits, one after the other, so that it is said in the order it was written. */
  async #send() {
    if (this.#sending) return;
    this.#sending = true;
    for (let item; this.ready && (item = this.outbox.find((each) => each.state === "waiting")); ) {
      item.state = "sending";
      const answer = await this.#ask("say", { text: item.text, id: item.id });
      if (item.state !== "sending") continue; // it was seen in the log before its confirmation came
      if (!answer || answer.error?.code === "too_many") item.state = "waiting";
      else item.state = answer.error ? "failed" : "sent";
      item.reason = answer?.error?.reason ?? "";
      this.#boxChanged();
      if (answer?.error?.code === "too_many") await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    this.#sending = false;
  }

  /** The answer; null if there was none. */
  #ask(event, payload) {
    return this.#socket
      .timeout(PATIENCE)
      .emitWithAck(event, payload)
      .catch(() => null);
  }

  /** Of these pairs of payload and position, the messages that are not here yet. */
  #unknown(said) {
    const news = [];
    for (const [payload, position] of said) {
      const message = read(payload, position);
      if (this.#known.has(message.key) || this.#known.has(position)) continue;
      this.#known.add(message.key).add(position);
      news.push(message);
    }
    return news;
  }

  /** Take from the outbox what is in the log. */
  #confirm(news) {
    const own = new Set(news.filter((message) => message.who === this.you).map((message) => message.id));
    if (!this.outbox.some((item) => own.has(item.id))) return;
    for (const item of this.outbox) if (own.has(item.id)) item.state = "sent";
    this.outbox = this.outbox.filter((item) => !own.has(item.id));
    this.#boxChanged();
  }

  #boxChanged() {
    keep(`outbox.${this.name}`, this.outbox.length ? this.outbox : null, "sessionStorage");
    this.#tell("messages");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** A message as the page shows it. Others may have published something else here, so nothing is taken for granted. */
function read([said], position) {
  const { id, who, name, text, at } = Object(said);
  return {
    key: typeof id === "string" ? `${who} ${id}` : position,
    id,
    position,
    who: typeof who === "string" ? who : "",
    name: typeof name === "string" && name ? name : "Someone",
    text: typeof text === "string" ? text : typeof said === "string" ? said : JSON.stringify(said),
    at: Number.isFinite(at) ? at : null,
  };
}

/** Whether one position is later than another in the same life of a log: they are written epoch:offset. */
export function isAfter(position, other) {
  const [epoch, offset] = parts(position);
  const [otherEpoch, otherOffset] = parts(other);
  return epoch === otherEpoch && offset > otherOffset;
}

function parts(position) {
  const colon = position.lastIndexOf(":");
  return [position.slice(0, colon), Number(position.slice(colon + 1))];
}
