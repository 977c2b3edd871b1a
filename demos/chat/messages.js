// The list of messages of the room that is shown. It is brought up to date as a whole, touching only what changed; the
// reader's place is kept, whatever is added above or below.

import { dayName, dayOf, hue, initial, isLoud, linked, momentOf, timeOf } from "./text.js";

const TOGETHER = 5 * 60_000; // milliseconds within which messages of one person are shown as one group
const NEAR = 80; // pixels from the end that still count as being there
const EARLY = 600; // pixels from the beginning at which older messages are asked for
const [scroller, list, template, topLine, empty, toEnd] = [
  "scroller", "messages", "message-template", "top", "empty", "to-end",
].map((id) => document.getElementById(id));
const STATES = { waiting: "Waiting to be sent", sending: "Sending", sent: "Sent", failed: "Not sent" };

export class MessageList {
  #room = null;
  #me;
  #nodes = new Map();
  #atEnd = true;
  #below = 0; // messages that came while the reader was elsewhere in the list

  constructor(me) {
    this.#me = me;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    toEnd.addEventListener("click", () => this.goToEnd());
    // A keyboard that slides in, or a longer draft, must not cover the end.
    new ResizeObserver(() => this.#atEnd && jumpToEnd()).observe(scroller);
  }

  show(room) {
    this.#room = room;
    this.#nodes.clear();
    list.replaceChildren();
    this.#atEnd = true;
    this.#below = 0;
    this.update();
    list.querySelector(".unread-mark:not([hidden])")?.scrollIntoView({ block: "center" });
    this.#scrolled();
  }

  /** So many messages of others came. */
  heard(count) {
    if (this.#atEnd) return;
    this.#below += count;
    this.#scrolled();
  }

  update() {
    const anchor = list.firstElementChild;
    const before = anchor?.getBoundingClientRect().top;
    this.#arrange([...this.#room.messages, ...this.#room.outbox.map((item) => this.#unsaid(item))]);
    this.#frame();
    if (this.#atEnd || !anchor?.isConnected) jumpToEnd();
    else scroller.scrollTop += anchor.getBoundingClientRect().top - before;
    this.#scrolled();
  }

  goToEnd() {
    this.#atEnd = true;
    jumpToEnd();
    this.#scrolled();
  }

  // -- inside --------------------------------------------------------------------------------------------------------

  #unsaid(item) {
    const { you } = this.#room;
    return { ...item, key: `${you} ${item.id}`, who: you, name: this.#me.name };
  }

  #arrange(items) {
    const keys = new Set(items.map((item) => item.key));
    for (const [key, node] of this.#nodes) {
      if (!keys.has(key)) {
        node.remove();
        this.#nodes.delete(key);
      }
    }
    let place = list.firstElementChild;
    let previous = null;
    for (const item of items) {
      const node = this.#nodes.get(item.key) ?? this.#build(item);
      if (node === place) place = place.nextElementSibling;
      else list.insertBefore(node, place);
      this.#decorate(node, item, previous);
      previous = item;
    }
  }

  #build(item) {
    const node = template.content.firstElementChild.cloneNode(true);
    const own = item.who === this.#room.you;
    node.classList.toggle("own", own);
    node.classList.toggle("loud", isLoud(item.text));
    node.style.setProperty("--hue", hue(item.who));
    node.querySelector(".avatar").textContent = initial(item.name);
    node.querySelector(".name").textContent = own ? "You" : item.name;
    node.querySelector(".text").append(linked(item.text));
    this.#nodes.set(item.key, node);
    return node;
  }

  #decorate(node, item, previous) {
    const day = item.at && dayOf(item.at) !== (previous?.at && dayOf(previous.at)) ? dayName(item.at) : "";
    const fresh = item.key === this.#room.firstUnread;
    const together = previous?.who === item.who && previous.name === item.name && item.at - previous.at < TOGETHER;
    node.classList.toggle("continued", together && !day && !fresh);
    put(node.querySelector(".day"), day);
    node.querySelector(".unread-mark").hidden = !fresh;
    const state = item.who === this.#room.you ? (item.state ?? "sent") : "";
    if (node.dataset.state !== state || node.dataset.at !== String(item.at)) this.#stamp(node, item, state);
    put(node.querySelector(".reason"), state === "failed" ? item.reason : "");
    node.querySelector(".failure").hidden = state !== "failed";
  }

  #stamp(node, item, state) {
    const time = node.querySelector("time");
    node.dataset.state = state;
    node.dataset.at = item.at;
    node.dataset.id = item.id;
    time.hidden = !item.at;
    if (item.at) {
      time.dateTime = new Date(item.at).toISOString();
      time.title = momentOf(item.at);
      time.textContent = timeOf(item.at);
    }
    node.querySelector(".state").textContent = state && STATES[state];
    const shape = { waiting: "clock", sending: "clock", sent: "check", failed: "alert" }[state];
    node.querySelector(".mark use").setAttribute("href", shape ? `#icon-${shape}` : "");
    node.querySelector(".mark").toggleAttribute("hidden", !shape);
  }

  /** What is written above the first message, or in the place of messages. */
  #frame() {
    const room = this.#room;
    const nothing = !room.messages.length && !room.outbox.length;
    empty.hidden = !nothing || !room.ready;
    const beginning = room.more ? "Loading older messages" : `This is where #${room.name} begins.`;
    put(topLine, nothing || !room.cursor ? "" : beginning);
  }

  #scrolled() {
    this.#atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
    if (this.#atEnd) this.#below = 0;
    toEnd.hidden = this.#atEnd;
    toEnd.querySelector("span").textContent =
      this.#below === 0 ? "Latest messages" : this.#below === 1 ? "1 new message" : `${this.#below} new messages`;
    if (scroller.scrollTop < EARLY) this.#room.older();
  }
}

function jumpToEnd() {
  scroller.scrollTop = scroller.scrollHeight;
}

/** Show this text, or nothing. */
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = !text;
}
