/**
 * Who is in a room, kept from the events `presence_state` (all of them) and `presence_diff` (who came and went). Both hold
 * `{key: {metas: [...]}}`: a key is someone, a meta one of the lines by which they are here, named by its `phx_ref`.
 */
export class Presence {
  onchange = null;
  _present = new Map();

  list() {
    return [...this._present].map(([key, someone]) => ({ key, ...someone }));
  }

  get(key) {
    return this._present.get(key);
  }

  /** Take an event for what it says of presence; true if that was anything. */
  _take(event, payload) {
    if (event === "presence_state") this._present = new Map(Object.entries(payload));
    else if (event === "presence_diff") this._change(payload.joins, payload.leaves);
    else return false;
    return true;
  }

  _change(joins, leaves) {
    for (const [key, someone] of Object.entries(joins ?? {})) {
      this._present.set(key, { ...someone, metas: [...this._without(key, someone), ...someone.metas] });
    }
    for (const [key, someone] of Object.entries(leaves ?? {})) {
      const metas = this._without(key, someone);
      if (metas.length) this._present.set(key, { ...this._present.get(key), metas });
      else this._present.delete(key);
    }
  }

  /** The metas of a key, without those that are named here. */
  _without(key, { metas }) {
    const named = new Set(metas.map((meta) => meta.phx_ref));
    return (this._present.get(key)?.metas ?? []).filter((meta) => !named.has(meta.phx_ref));
  }
}
