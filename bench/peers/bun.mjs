// Bun, with the publish that its documentation recommends for one message to many. A topic is a path.
const fanOut = process.argv[3] === "fanout";

const server = Bun.serve({
  port: Number(process.argv[2]),
  hostname: "127.0.0.1",
  fetch(request, server) {
    const data = { topic: new URL(request.url).pathname };
    return server.upgrade(request, { data }) ? undefined : new Response("hello");
  },
  websocket: {
    open: (client) => client.subscribe(client.data.topic),
    message: (client, data) => (fanOut ? server.publish(client.data.topic, data) : client.send(data)),
    idleTimeout: 0,
    sendPings: false,
  },
});
