// The native protocol over a WebSocket: a message is a message.
import { encode } from "../json.js";

/**
 * A line, as all in this folder: it enters the rooms of `joins` when it stands, gives what it hears to `heard`, a welcome first, and says
 * once to `ended` that it is over, and of what; not before `tell` and `close` are there, and not after `close`.
 */
export function websocket({ url, joins, options, heard, ended }) {
  let socket;
  let heardLately = true;
  let asked = false;

  // That a server is gone without a word, no browser tells: after a silent while we ask for a sign of life.
  const clock = setInterval(() => {
    if (asked) end({ reason: "the server is silent" });
    else if (!heardLately) {
      asked = true;
      socket.send('{"ping":1}');
    }
    heardLately = false;
  }, options.pulse ?? 25_000);

  function end(why) {
    close();
    ended(why);
  }

  function close() {
    clearInterval(clock);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};
    socket.close();
  }

  try {
    socket = new (options.WebSocket ?? WebSocket)(`${url.replace(/^http/, "ws")}/hubbub/websocket`);
    socket.onclose = ({ code, reason }) => end({ reason: reason || `the WebSocket closed with ${code}` });
    socket.onerror = () => {}; // a close follows
    socket.onmessage = ({ data }) => {
      heardLately = true;
      asked = false;
      const message = JSON.parse(data);
      if (message.welcome !== undefined) joins.forEach((join) => tell(join));
      heard(message);
    };
  } catch (error) {
    queueMicrotask(() => end({ reason: error.message }));
  }

  function tell(message, text = encode(message)) {
    socket.send(text);
  }

  return { tell, close };
}
