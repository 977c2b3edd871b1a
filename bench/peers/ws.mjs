// ws on Node: its README's broadcast to all clients, or its echo.
import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";

const server = createServer();
const everyone = new WebSocketServer({ server });
const fanOut = process.argv[3] === "fanout";

everyone.on("connection", (client) => {
  client.on("error", console.error);
  client.on("message", (data, isBinary) => {
    if (!fanOut) {
      client.send(data, { binary: isBinary });
      return;
    }
    everyone.clients.forEach((other) => {
      if (other.readyState === WebSocket.OPEN) {
        other.send(data, { binary: isBinary });
      }
    });
  });
});

server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
