// The npm eventsource, unmodified, against Hubbub. Usage: node eventsource_client.mjs URL EVENT...
// Prints each of these events as a line of JSON, and ends when the stream is closed for good.
import { createRequire } from "node:module";

const { EventSource } = createRequire(process.env.WEB)("eventsource");
const [url, ...events] = process.argv.slice(2);
const source = new EventSource(url);

const print = (told) => process.stdout.write(JSON.stringify(told) + "\n");

for (const event of events) {
  source.addEventListener(event, ({ type, data, lastEventId }) => print([type, JSON.parse(data), lastEventId]));
}

source.onerror = ({ code }) => {
  if (source.readyState === EventSource.CLOSED) print(["closed", code ?? null, ""]);
};
