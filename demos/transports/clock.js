// The server's clock, as seen from here: latency is measured from one clock to the other, and the two have nothing in common.
//
// As NTP does it (RFC 5905, section 8): note when we asked and when the answer came. The server looked at its clock somewhere between
// the two; in the middle, if both ways took the same time, and off by half the round trip at the very most. Of many exchanges the
// quickest knows best; but an old one less and less, for no two clocks run at the same speed.

const DRIFT = 50e-6; // by how much two clocks may differ in speed: a poor quartz
const KEPT = 50;

export class Clock {
  #samples = [];

  /** `ask()` gives a promise of the server's time, in milliseconds. */
  async measure(ask) {
    const sent = performance.now();
    const theirs = await ask();
    const back = performance.now();
    this.add(theirs, sent, back);
  }

  add(theirs, sent, back) {
    this.#samples.push({ at: back, offset: theirs - (sent + back) / 2, error: (back - sent) / 2 });
    this.#samples = this.#samples.slice(-KEPT);
  }

  /** Another server may have another clock. */
  forget() {
    this.#samples = [];
  }

  /** `{ offset, error }`: what to add to our time to have the server's, and how far that may be off; null before the first exchange. */
  read(now = performance.now()) {
    const error = (sample) => sample.error + (now - sample.at) * DRIFT;
    const best = this.#samples.reduce((one, other) => (one && error(one) <= error(other) ? one : other), null);
    return best && { offset: best.offset, error: error(best) };
  }
}
