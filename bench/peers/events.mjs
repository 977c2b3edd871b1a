// Server-sent events on Node's own http: a response that stays open for each who listens, and a post for who speaks.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

const everyone = new Set();

const server = createServer(async (request, response) => {
  if (request.method === "POST") {
    const event = `event: m\ndata: ${JSON.stringify(await text(request))}\n\n`;
    everyone.forEach((listener) => listener.write(event));
    response.writeHead(204).end();
    return;
  }
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.write("retry: 2000\n\n");
  everyone.add(response);
  response.on("close", () => everyone.delete(response));
});

server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
