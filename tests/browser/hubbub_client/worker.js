// The client in a worker, of either kind: a message with a topic and a text is said there, and what is heard goes back.
import { connect } from "/hubbub/hubbub.min.js";

const hub = connect();

addEventListener("message", async ({ data: { topic, text }, ports: [port] }) => {
  const room = hub.join(topic, { name: "worker" });
  room.on("said", (payload) => port.postMessage({ ...payload, transport: hub.transport }));
  await room.send("say", text);
});
