// One event stream for all rooms, and a POST for each message. `fetch` reads the stream, as workers and Node have no EventSource.
import { joining, poster, readEvents, refusal, request } from "./http.js";

/** So long a line of joins in a URL passes everywhere; the others follow by POST. */
const LONGEST_URL = 4_000;

export function sse(given) {
  const { url, joins, options, heard, ended } = given;
  const stop = new AbortController();
  const post = poster(given, stop.signal, end);
  let connection;
  let delay;
  let over = false;
  let clock;

  function close() {
    over = true;
    clearTimeout(clock);
    stop.abort();
  }

  function end({ message, delay: asked }) {
    if (over) return;
    close();
    ended({ reason: message, delay: asked ?? delay });
  }

  /** The server says something every 15 seconds, a comment at least. */
  function listen() {
    clearTimeout(clock);
    clock = setTimeout(end, (options.pulse ?? 25_000) * 2, { message: "the server is silent" });
  }

  function told({ event, data, retry }) {
    listen();
    if (retry !== undefined) delay = Math.random() * retry;
    if (event === undefined || over) return;
    const value = JSON.parse(data);
    if (event === "hubbub.open") opened(value);
    else if (event === "hubbub.left") heard({ left: value.topic, error: value.error });
    else if (event === "hubbub.bye") heard({ bye: value });
    else if (event === "hubbub.error") heard(value);
    else if (event === "message") heard(value);
  }

  function opened({ connection: secret, id, topics }) {
    connection = secret;
    heard({ welcome: id });
    for (const join of joins) {
      const how = topics[join.join];
      if (how) heard({ ...how, reply: join.ref, ok: !how.error, payload: how.reply });
      else tell(join);
    }
  }

  async function run() {
    let first = joins.length;
    while (first > 1 && joining(joins.slice(0, first)).length > LONGEST_URL) first -= 1;
    const response = await request(options, `${url}/topics?${joining(joins.slice(0, first))}`, {
      headers: { accept: "text/event-stream" }, signal: stop.signal,
    });
    // Only where all topics refuse us is there no stream; the reason is that of the first.
    if (!response.ok) heard({ reply: joins[0].ref, ok: false, error: await refusal(response) });
    else if (/^text\/event-stream/.test(response.headers.get("content-type"))) await readEvents(response, told);
    else throw new Error("that is no event stream");
  }

  function tell(message, text) {
    post(message, text, "", { "hubbub-connection": connection });
  }

  listen();
  run().then(() => end({ message: "the stream ended" }), end);
  return { tell, close };
}
