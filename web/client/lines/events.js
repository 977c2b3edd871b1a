/**
 * The events of a stream of text, as "Interpreting an event stream" of the HTML standard has them: `told` is called with
 * `{event, data}` for an event, with `{retry}` where the server says how long to wait, and with `{}` for a comment.
 * Takes the text in any pieces.
 */
export function eventReader(told) {
  let rest = "";
  let event = "";
  let data = [];

  function line(text) {
    if (text === "") {
      if (data.length) told({ event: event || "message", data: data.join("\n") });
      event = "";
      data = [];
      return;
    }
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(text);
    if (name === "data") data.push(value);
    else if (name === "event") event = value;
    else if (name === "retry" && /^\d+$/.test(value)) told({ retry: Number(value) });
    else if (name === "") told({});
  }

  return (text) => {
    // A line ends with CRLF, LF or CR. A CR at the very end may be half of a CRLF, so it waits for what follows.
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
}
