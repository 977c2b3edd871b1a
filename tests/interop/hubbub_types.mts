// What TypeScript makes of the client's types: read by tsc alone, in test_hubbub_client.py.
import { connect, HubbubError, type Entry, type Hub, type Room } from "../../web/client/hubbub.js";

const hub: Hub = connect("https://example.com/rt", { transports: ["websocket", "sse"], backoff: { first: 500 }, queue: 10 });
connect();
connect({ fetch: (url, init) => fetch(url, { ...init, credentials: "include" }), WebSocket });
// @ts-expect-error there is no such transport
connect({ transports: ["pigeon"] });

const room: Room = hub.join("room:lobby", async () => ({ token: await Promise.resolve("t") }), { after: "e:1" });
room.onjoin = ({ again, recovered }: Entry) => console.log(again, recovered === null);
room.ongap = () => console.log("reload");
room.onleave = (error) => console.log(error.code satisfies string);
const stop = room.on<{ text: string }>("said", ({ text }) => console.log(text.toUpperCase()));
stop();
// @ts-expect-error the state is told, not set
room.state = "left";

const position: string = await room.send<string>("say", { text: "hi" }, { timeout: 100, id: "1" });
room.presence.onchange = (present) => present.map(({ key, metas }) => [key, metas[0]?.at]);
hub.on("down", ({ error, delay }) => console.log(error instanceof HubbubError, (delay ?? 0) + 1, position));
// @ts-expect-error there is no such event
hub.on("sideways", () => {});
hub.close();
