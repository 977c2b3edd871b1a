/** JSON in which bytes are base64 text, as the native protocol has them. */
export const encode = (value) =>
  JSON.stringify(value, (_, value) =>
    value instanceof ArrayBuffer ? base64(value) : ArrayBuffer.isView(value) ? base64(value.buffer, value.byteOffset, value.byteLength) : value,
  );

export function base64(...place) {
  let text = "";
  for (const byte of new Uint8Array(...place)) text += String.fromCharCode(byte);
  return btoa(text);
}
