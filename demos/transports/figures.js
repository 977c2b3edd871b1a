// What one transport has heard and spent. Counts are of all that was; latency and bytes of the last `SPAN` milliseconds, so that they
// follow what is changed.

export const SPAN = 30_000;

export class Figures {
  requests = 0;
  messages = 0;
  bytes = 0;
  missing = 0; // positions that were left out
  disorder = 0; // positions that came twice, or late
  breaks = 0; // times the server had to say that something cannot be had any more
  #epoch;
  #offset;
  #heard = [];
  #spent = [];

  /** A message that the server made `at` its time came `now`, by ours. */
  hear(position, at, now) {
    const colon = position.lastIndexOf(":");
    const [epoch, offset] = [position.slice(0, colon), Number(position.slice(colon + 1))];
    if (epoch === this.#epoch) {
      // Offsets count 1, 2, 3 without holes: so a hole is something that did not come.
      if (offset <= this.#offset) this.disorder += 1;
      else this.missing += offset - this.#offset - 1;
    }
    this.#epoch = epoch;
    this.#offset = offset;
    this.messages += 1;
    this.#heard.push({ at, now });
  }

  spend(up, down, now) {
    this.bytes += up + down;
    this.#spent.push({ up, down, now });
  }

  /** What comes next need not follow on what came last. */
  restart() {
    this.#epoch = this.#offset = undefined;
  }

  /** Latency in milliseconds and bytes per message, lately; null where there is nothing to tell. `offset` is the server's clock's. */
  lately(now, offset) {
    const recent = ({ now: then }) => then > now - SPAN;
    this.#heard = this.#heard.filter(recent);
    this.#spent = this.#spent.filter(recent);
    const late = offset === undefined ? [] : this.#heard.map(({ at, now: then }) => then + offset - at).sort((one, other) => one - other);
    const each = (sum) => (this.#heard.length ? sum / this.#heard.length : null);
    const sum = (key) => this.#spent.reduce((total, spent) => total + spent[key], 0);
    const [up, down] = [each(sum("up")), each(sum("down"))];
    return { p50: percentile(late, 0.5), p99: percentile(late, 0.99), up, down, bytes: up === null ? null : up + down };
  }
}

/** The value that this share of a sorted list does not exceed. */
export function percentile(sorted, share) {
  return sorted.length ? sorted[Math.ceil(share * sorted.length) - 1] : null;
}
