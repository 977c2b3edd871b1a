// What the lines over HTTP share: requests to the topics' URLs, and messages by POST.
import { base64, encode } from "../json.js";
import { eventReader } from "./events.js";

/** What a failed request says of its line: there is no going on with it. */
export class Broken extends Error {
  constructor(response) {
    super(`the server answered ${response.status}`);
    const seconds = Number(response.headers.get("retry-after"));
    if (seconds > 0) this.delay = seconds * 1000;
  }
}

export const joining = (joins) => joins.map((join) => `join=${encodeURIComponent(encode(join))}`).join("&");

export async function request(options, url, init) {
  return (options.fetch ?? fetch)(url, { cache: "no-store", ...init });
}

/** What the server refused, in its words. Throws Broken where they are not ours: a proxy's, or a server's that goes away. */
export async function refusal(response) {
  if (!/^application\/problem\+json/.test(response.headers.get("content-type"))) throw new Broken(response);
  const { code, detail } = await response.json();
  if (code === "no_connection" || code === "shutdown") throw new Broken(response);
  return { code, reason: detail };
}

/** Messages by POST, those of a topic one after the other; each reply is heard as a message. `failed` is told what broke. */
export function poster({ url, options, heard }, signal, failed) {
  const last = new Map();

  async function post(message, text, query, headers) {
    const response = await request(options, `${url}/topics${query}`, {
      method: "POST", headers: { "content-type": "application/json", ...headers }, body: text, signal,
    });
    const reply = { reply: message.ref, ok: response.ok };
    if (!response.ok) reply.error = await refusal(response);
    else if (response.status !== 204) {
      const json = /json/.test(response.headers.get("content-type"));
      const body = json ? await response.json() : base64(await response.arrayBuffer());
      if (message.join) Object.assign(reply, body, { payload: body.reply, reply: message.ref });
      else reply.payload = body;
    }
    if (message.ref !== undefined) heard(reply);
  }

  return (message, text = encode(message), query = "", headers = {}) => {
    if (message.answer !== undefined) return; // the server takes answers by WebSocket alone
    const topic = message.send ?? message.join ?? message.leave;
    last.set(topic, (last.get(topic) ?? Promise.resolve()).then(() => post(message, text, query, headers)).catch(failed));
  };
}

/** Read a response as an event stream, to its end. */
export async function readEvents(response, told) {
  const read = eventReader(told);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  for (let piece; !(piece = await reader.read()).done; ) read(decoder.decode(piece.value, { stream: true }));
}
