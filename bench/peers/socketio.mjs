// Socket.IO on Node, as its documentation sets it up.
import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer();
const io = new Server(server, { pingInterval: 1_000 * Number(process.env.HEARTBEAT ?? 600) });

io.on("connection", (socket) => {
  socket.on("publish", (data) => io.emit("m", data));
  socket.on("echo", (data, acknowledge) => acknowledge(data));
});

server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
