// Where a message is written. Each room keeps its own draft.

const LONGEST = 4_000; // characters, as the server counts them
const WARN = 200; // characters before that from which on the rest is told

const form = document.getElementById("composer");
const area = document.getElementById("text");
const send = document.getElementById("send");
const count = document.getElementById("too-long");

export class Composer {
  #room = null;
  #submit;

  constructor(submit) {
    this.#submit = submit;
    form.addEventListener("submit", (event) => this.#send(event));
    area.addEventListener("input", () => this.#written());
    area.addEventListener("keydown", (event) => {
      // An Enter that ends the choice of a character (isComposing) is not meant for us.
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.#send(event);
    });
  }

  show(room) {
    this.#room = room;
    area.value = room.draft;
    area.placeholder = `Write in #${room.name}`;
    this.#fit();
    if (matchMedia("(hover: hover)").matches) this.focus(); // where no keyboard would jump up
  }

  /** Put this text there, to be changed. */
  write(text) {
    area.value = area.value ? `${text}\n${area.value}` : text;
    this.#written();
    this.focus();
  }

  focus() {
    area.focus();
    // A dialog that was closed by a click has given the focus back, but in Chromium no place to write at.
    area.setSelectionRange(area.value.length, area.value.length);
  }

  #send(event) {
    event.preventDefault();
    const text = area.value.trim();
    if (!text || length(text) > LONGEST) return;
    area.value = this.#room.draft = "";
    this.#fit();
    this.#submit(text);
    this.focus();
  }

  #written() {
    this.#room.draft = area.value;
    if (area.value.trim()) this.#room.typing();
    this.#fit();
  }

  #fit() {
    const text = area.value.trim();
    const left = LONGEST - length(text);
    count.textContent = left < 0 ? `${-left} characters too many` : left < WARN ? `${left} characters left` : "";
    send.disabled = !text || left < 0;
    area.setAttribute("aria-invalid", left < 0);
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }
}

const length = (text) => [...text].length;
