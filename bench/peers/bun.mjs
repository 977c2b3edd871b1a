// Bun, with the publish that its documentation recommends for one message to many.
const fanOut = process.argv[3] === "fanout";

const server = Bun.serve({
  port: Number(process.argv[2]),
  hostname: "127.0.0.1",
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("hello")),
  websocket: {
    open: (client) => client.subscribe("everyone"),
    message: (client, data) => (fanOut ? server.publish("everyone", data) : client.send(data)),
    idleTimeout: 0,
    sendPings: false,
  },
});
