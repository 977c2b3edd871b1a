// The client of Hubbub: one hub, any number of rooms, over whatever line gets through.
//
//     const hub = connect();
//     const room = hub.join("room:lobby", { name: "Ada" });
//     room.on("said", ({ text }) => console.log(text));
//     await room.send("say", { text: "hello" });
//
// Rules of the whole package:
// 1. No dependency, and nothing that browsers, workers or Node 20 do not all have, but for WebSocket, which may be given.
// 2. What begins with an underscore is not for users; the build shortens it.
// 3. A line speaks the native protocol's messages, whatever its wire looks like: `lines/` translate, the rest never asks.
import { Hub } from "./hub.js";

export { HubbubError } from "./errors.js";

/** Where this file came from, when a Hubbub server served it: so an application that is mounted is found. */
const SERVED = /^(.*)\/hubbub\/hubbub(?:\.min)?\.js/.exec(import.meta.url);

export function connect(url, options) {
  if (typeof url === "object") [url, options] = [undefined, url];
  const base = SERVED?.[1] ?? globalThis.location?.origin;
  if (url === undefined && base === undefined) throw new TypeError("connect needs the URL of a server here");
  return new Hub(new URL(url ?? "", base && `${base}/`).href.replace(/^ws/, "http").replace(/\/$/, ""), options ?? {});
}
