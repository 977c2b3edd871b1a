// How many bytes things take on the wire. What a page cannot see is computed from what the standards say, or else estimated; the page
// says which is which. TCP, IP and TLS come on top of all of it, alike for everyone.

/** What opening a line takes in HTTP heads, there and back. Estimated: a browser shows its page neither. */
export const OPENING = { webSocket: { up: 550, down: 200 }, eventSource: { up: 620, down: 230 } };

const encoder = new TextEncoder();
const length = (text) => encoder.encode(text).length;

/** A WebSocket message of text in one frame (RFC 6455, section 5.2); what a client sends is masked. */
export function frame(text, masked = false) {
  const size = length(text);
  return size + (size < 126 ? 2 : size < 65_536 ? 4 : 10) + (masked ? 4 : 0);
}

/** A piece of a response that goes on (RFC 9112, section 7.1): its length in hex, a line end, the piece, a line end. */
export function chunk(text) {
  const size = length(text);
  return size.toString(16).length + 2 + size + 2;
}

/** An event of a stream, written again as it came. */
export const block = ({ type, data, lastEventId }) => `event: ${type}\ndata: ${data}\nid: ${lastEventId}\n\n`;

/** The head of a response, of the headers that a page of the same origin may read: all but cookies. */
export function responseHead(response) {
  const lines = [...response.headers].map(([name, value]) => name.length + 2 + length(value) + 2);
  return lines.reduce((sum, size) => sum + size, `HTTP/1.1 ${response.status} ${response.statusText}\r\n`.length) + 2;
}

let headSize;

/** Have the server say how long the head of a request by `fetch` is. */
export async function measureHead() {
  headSize = Number(await (await request("/head")).text()) - "/head".length;
}

/** The head of a request for this path. */
export const requestHead = (path) => headSize + path.length;

/** All requests are made alike, so that their heads are. */
export const request = (path, signal) => fetch(path, { cache: "no-store", signal });

/** Calls `measured(url, bytes)` for each response that has come whole: its body as it came, compressed or not. Gives what stops it. */
export function observe(measured) {
  const observer = new PerformanceObserver((list) => {
    for (const { name, encodedBodySize } of list.getEntries()) measured(new URL(name), encodedBodySize);
    performance.clearResourceTimings();
  });
  observer.observe({ type: "resource" });
  return () => observer.disconnect();
}
