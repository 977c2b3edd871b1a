// One topic, from this client's side: in or not, how far it has read, who wants to hear what.
//
// What the channel says has names of the application's choosing, so all of `on` is theirs; what happens to the room itself
// is told to `onjoin`, `ongap` and `onleave`.
import { HubbubError } from "./errors.js";
import { call, Listeners } from "./listeners.js";
import { Presence } from "./presence.js";

/** Refusals that say nothing of this client: who was in before tries again. */
const PASSING = new Set(["unavailable", "too_many", "internal", "cancelled"]);

export class Room extends Listeners {
  state = "joining";
  presence = new Presence();
  onjoin = null;
  ongap = null;
  onleave = null;
  /** Whether it was in before: then a join comes back. */
  _again = false;
  /** What came before the reply to the join, where these take two ways. */
  _early = [];

  constructor(hub, topic, params, after) {
    super();
    this._hub = hub;
    this.topic = topic;
    this._params = params;
    this.position = after ?? null;
    this._promise();
  }

  get joined() {
    return this._joined;
  }

  send(event, payload, options) {
    return this._hub._send(this, event, payload, options);
  }

  leave() {
    if (this.state !== "left") this._hub._leave(this);
  }

  _promise() {
    this._joined = new Promise((resolve, reject) => {
      this._resolve = resolve;
      this._reject = reject;
    });
    this._joined.catch(() => {}); // who does not ask need not be told: there is `onleave`
  }

  /** The join as a message. */
  async _ask(ref) {
    const params = await (typeof this._params === "function" ? this._params() : this._params);
    return { join: this.topic, params, after: this.position ?? undefined, ref };
  }

  /** The line is gone, or the server took us out for now. */
  _wait() {
    if (this.state === "joined") this._promise();
    this.state = "joining";
    this._early = [];
  }

  _refused({ code, reason }) {
    if (this._again && PASSING.has(code)) this._hub._enterLater(this);
    else this._out(new HubbubError(code, reason));
  }

  _entered({ payload, position, recovered }) {
    const again = this._again;
    const gap = (again || this.position !== null) && recovered !== true;
    this.state = "joined";
    this._again = true;
    // We stand at `position`, and are told what follows; where all that we missed follows, we stand where we stood.
    if (recovered !== true || split(position)[0] !== split(this.position)[0]) this.position = position ?? null;
    this._resolve(payload);
    call(this.onjoin, { payload, again, recovered: recovered ?? null });
    if (gap) call(this.ongap);
    for (const message of this._early.splice(0)) this._told(message);
    this._hub._flush(this);
  }

  _told(message) {
    if (this.state !== "joined") return void this._early.push(message);
    const { event, payload, position, call: number } = message;
    if (position != null && !this._advance(position)) return;
    const present = this.presence._take(event, payload);
    const answers = this._announce(event, payload);
    if (present) call(this.presence.onchange, this.presence.list());
    if (number !== undefined && answers.length) this._answer(number, answers[0]);
  }

  async _answer(number, answer) {
    const payload = await answer;
    if (this.state === "joined") this._hub._tell({ answer: number, topic: this.topic, payload });
  }

  /** Go on to this position; false if we were there already. */
  _advance(position) {
    const [epoch, offset] = split(position);
    const [before, reached] = split(this.position ?? `${epoch}:-1`);
    if (epoch === before && offset <= reached) return false;
    this.position = position;
    if (epoch !== before) call(this.ongap); // another life of the log: who knows what was in between
    return true;
  }

  /** What followed our position cannot be had. */
  _lost(position) {
    this.position = position ?? null;
    call(this.ongap);
  }

  /** It is over, by our will (no error) or another's. */
  _out(error) {
    if (this.state === "left") return;
    this.state = "left";
    this._hub._forget(this, error ?? new HubbubError("left", "the room was left"));
    this._reject(error ?? new HubbubError("left", "the room was left"));
    if (error) call(this.onleave, error);
  }
}

function split(position) {
  const colon = position.lastIndexOf(":");
  return [position.slice(0, colon), Number(position.slice(colon + 1))];
}
