// Socket.IO on Node, as its documentation sets it up, with what its page on performance recommends: bufferutil is
// installed, and the request of the handshake is not kept.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { Server } from "socket.io";

const [, , port, certificate] = process.argv;
const pem = certificate && readFileSync(certificate);
const server = pem ? createSecureServer({ cert: pem, key: pem }) : createServer();
const io = new Server(server, {
  pingInterval: 1_000 * Number(process.env.HEARTBEAT ?? 600),
  connectionStateRecovery: process.env.RECOVERY ? {} : undefined,
});

io.engine.on("connection", (client) => {
  client.request = null;
});

io.on("connection", (socket) => {
  const rooms = socket.handshake.auth.rooms ?? [];
  socket.join(rooms);
  socket.on("publish", (data, acknowledge) => {
    (rooms.length ? io.to(rooms.at(-1)) : io).emit("m", data);
    acknowledge?.();
  });
  socket.on("echo", (data, acknowledge) => acknowledge(data));
});

server.listen(Number(port), "127.0.0.1", 4096);
