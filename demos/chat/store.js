// What this browser remembers. Where storage is forbidden or full, it remembers until the page is closed.

const memory = new Map();

/** What was kept under this name, or `otherwise`. */
export function recall(name, otherwise = null, storage = "localStorage") {
  try {
    const text = window[storage].getItem(`chat.${name}`);
    return text === null ? (memory.get(name) ?? otherwise) : JSON.parse(text);
  } catch {
    return memory.get(name) ?? otherwise;
  }
}

/** Keep a value under this name; null forgets it. */
export function keep(name, value, storage = "localStorage") {
  memory.set(name, value);
  try {
    if (value === null) window[storage].removeItem(`chat.${name}`);
    else window[storage].setItem(`chat.${name}`, JSON.stringify(value));
  } catch {
    // It is in memory.
  }
}

/** A random name for something: 24 hexadecimal digits. (crypto.randomUUID exists on https and localhost only.) */
export function token() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
