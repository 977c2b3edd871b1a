// What the tests do in a page: as an application would, with the client as it is served.
import { connect } from "/hubbub/hubbub.min.js";

const hub = connect({ backoff: { first: 100, most: 500 } });
const show = () => (document.querySelector("[role=status]").textContent = hub.state);
const told = { entries: [], gaps: 0, downs: [] };
hub.on("up", show);
hub.on("down", ({ error }) => {
  told.downs.push(error.code);
  show();
});
show();

let room;

window.enter = async (topic) => {
  room = hub.join(topic, { name: "Ada" });
  room.on("said", ({ text }) => document.querySelector("ol").append(Object.assign(document.createElement("li"), { textContent: text })));
  room.ongap = () => (told.gaps += 1);
  room.onjoin = ({ again, recovered }) => told.entries.push([again, recovered]);
  return room.joined;
};
window.say = (text) => room.send("say", text);
window.told = () => ({ ...told, transport: hub.transport, url: hub.url, position: room.position });
