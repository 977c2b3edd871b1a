/** Who wants to hear what. */
export class Listeners {
  _all = new Map();

  on(event, listener) {
    if (!this._all.has(event)) this._all.set(event, new Set());
    this._all.get(event).add(listener);
    return () => this.off(event, listener);
  }

  off(event, listener) {
    this._all.get(event)?.delete(listener);
  }

  /** What the listeners gave back, in the order of their coming. */
  _announce(event, value) {
    return [...(this._all.get(event) ?? [])].map((listener) => call(listener, value));
  }
}

/** Call what a user gave. What it throws is the page's to hear of, as from any event's listener, and not ours. */
export function call(listener, ...values) {
  try {
    return listener?.(...values);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
