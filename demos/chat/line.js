// The line to the server, as a person understands it.

import { Manager } from "/socket.io/socket.io.esm.min.js";

const BACK = 2_500; // milliseconds that "back again" is shown
const CALM = 600; // milliseconds that a first connection may take before a word is said about it

/** Tells `tell(state, carrier)` of each change: connecting, online, lost, offline, back. */
export class Line {
  state = "";
  manager = new Manager({ autoConnect: false, reconnectionDelay: 500, reconnectionDelayMax: 5_000, timeout: 10_000 });
  #tell;
  #timer;

  constructor(tell) {
    this.#tell = tell;
    this.#timer = setTimeout(() => this.#become("connecting"), CALM);
    this.manager.on("open", () => this.#opened());
    this.manager.on("error", () => this.#broken());
    this.manager.on("close", () => this.#broken());
    addEventListener("offline", () => this.#broken());
  }

  /** "websocket" or "polling"; "" while there is no line. */
  get carrier() {
    return ["online", "back"].includes(this.state) ? (this.manager.engine?.transport?.name ?? "") : "";
  }

  #opened() {
    const again = ["lost", "offline"].includes(this.state);
    this.#become(again ? "back" : "online");
    if (again) this.#timer = setTimeout(() => this.#become("online"), BACK);
    this.manager.engine.once("upgrade", () => this.#tell(this.state, this.carrier));
  }

  #broken() {
    if (!navigator.onLine) this.#become("offline");
    else this.#become("lost");
  }

  #become(state) {
    clearTimeout(this.#timer);
    this.state = state;
    this.#tell(state, this.carrier);
  }
}
