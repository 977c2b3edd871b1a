// Polls, and a POST for each message. Each poll is a client of its own for the server: it joins, waits, and leaves with what it heard.
import { joining, poster, refusal, request } from "./http.js";

export function polling(given) {
  const { url, options, heard, ended } = given;
  /** What every poll asks for, by topic; `after` moves on with the pages. */
  const joins = new Map(given.joins.map((join) => [join.join, join]));
  /** Who waits for the reply to a join, which the first page with it tells. */
  const fresh = new Set(joins.keys());
  const stop = new AbortController();
  const post = poster(given, stop.signal, end);
  let welcomed = false;
  let poll;
  let wake;

  function close() {
    stop.abort();
    poll?.abort();
    wake?.();
  }

  function end({ message, delay }) {
    if (stop.signal.aborted) return;
    close();
    ended({ reason: message, delay });
  }

  async function run() {
    while (!stop.signal.aborted) {
      const began = Date.now();
      const busy = joins.size === 0 ? false : await once();
      // A channel that greets everyone who joins would have us poll without a pause.
      if (!busy && Date.now() - began < 1000) await sleep(joins.size ? 1000 : 2 ** 30);
    }
  }

  function sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One poll; true if the next may follow at once. */
  async function once() {
    const asked = [...joins.values()];
    const wait = fresh.size ? 0 : 25;
    poll = new AbortController();
    try {
      const response = await request(options, `${url}/topics?${joining(asked)}&wait=${wait}`, {
        headers: { accept: "application/json" }, signal: poll.signal,
      });
      if (response.ok) return read(await response.json(), asked) || wait === 0;
      judge(asked[0], { error: await refusal(response) });
    } catch (error) {
      if (!poll.signal.aborted) throw error;
    }
    return true;
  }

  function read(page, asked) {
    if (!welcomed) heard({ welcome: null });
    welcomed = true;
    const positions = page.position?.split(",") ?? [];
    asked.forEach((join, index) => {
      judge(join, page.topics[join.join] ?? {});
      if (positions[index]) join.after = positions[index];
    });
    page.events.forEach((message) => heard(message));
    return page.more || page.events.some((message) => message.position);
  }

  /** How a join went: news for who waits for it, for others only if it went wrong. */
  function judge({ join: topic, ref }, how) {
    if (stop.signal.aborted || !joins.has(topic)) return;
    const waits = fresh.delete(topic);
    if (how.error) joins.delete(topic);
    if (waits) heard({ ...how, reply: ref, ok: !how.error, payload: how.reply });
    else if (how.error) heard({ left: topic, error: { ...how.error, come_back: true } });
    else if (how.recovered === false) heard({ lost: topic, position: how.position });
  }

  function tell(message, text) {
    if (message.send) {
      const { join, params } = joins.get(message.send);
      post(message, text, `?${joining([{ join, params }])}`);
      return;
    }
    if (message.join) {
      joins.set(message.join, message);
      fresh.add(message.join);
    } else joins.delete(message.leave);
    poll?.abort();
    wake?.();
  }

  run().catch(end);
  return { tell, close };
}
