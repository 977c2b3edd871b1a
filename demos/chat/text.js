// How names, times and messages are written. User text only ever becomes text nodes here.

const ADDRESS = /\bhttps?:\/\/[^\s<>"]+/giu;
const LOUD = /^(?:\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\uFE0F|\u200D\p{Extended_Pictographic})*\s*){1,3}$/u;
const DAY = 86_400_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat("en", { weekday: "long" });
const date = new Intl.DateTimeFormat("en", { weekday: "long", day: "numeric", month: "long" });
const longDate = new Intl.DateTimeFormat("en", { day: "numeric", month: "long", year: "numeric" });
const graphemes = new Intl.Segmenter();

/** The text with its web addresses as links: http and https only. */
export function linked(text) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const address = withoutPunctuation(found[0]);
    if (!URL.canParse(address)) continue;
    fragment.append(text.slice(end, found.index), link(address));
    end = found.index + address.length;
  }
  fragment.append(text.slice(end));
  return fragment;
}

function link(address) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer nofollow ugc";
  anchor.textContent = address;
  return anchor;
}

/** Without the full stop or the bracket that belongs to the sentence around the address. */
function withoutPunctuation(address) {
  for (;;) {
    const last = address.at(-1);
    const unopened = last === ")" && address.split("(").length < address.split(")").length;
    if (!unopened && !".,;:!?'*_…".includes(last)) return address;
    address = address.slice(0, -1);
  }
}

/** Whether it is nothing but one to three emoji. */
export const isLoud = (text) => LOUD.test(text);

/** The first letter, or emoji, of a name. */
export function initial(name) {
  const first = graphemes.segment(name)[Symbol.iterator]().next().value;
  return first ? first.segment.toLocaleUpperCase() : "?";
}

/** An angle on the colour wheel, the same for the same person everywhere. */
export const hue = (who) => (parseInt(who.slice(0, 4), 16) || 0) % 360;

export const timeOf = (at) => clock.format(at);
export const momentOf = (at) => moment.format(at);
export const dayOf = (at) => new Date(at).setHours(0, 0, 0, 0);

/** "Today", "Yesterday", "Tuesday", "Tuesday, 3 March" or "3 March 2024". */
export function dayName(at) {
  const days = Math.round((dayOf(Date.now()) - dayOf(at)) / DAY);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return weekday.format(at);
  return new Date(at).getFullYear() === new Date().getFullYear() ? date.format(at) : longDate.format(at);
}

/** "1 person", "3 people". */
export const people = (count) => (count === 1 ? "1 person" : `${count.toLocaleString("en")} people`);

/** "Ada is typing", "Ada and Ben are typing" ... */
export function typingLine(names) {
  if (!names.length) return "";
  if (names.length === 1) return `${names[0]} is typing`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing`;
  return `${names[0]}, ${names[1]} and ${names.length - 2 === 1 ? "one other" : "others"} are typing`;
}

/** A room's name as topics may be called, from what a person wrote or an address says; "" if nothing is left. */
export function roomName(text) {
  const plain = text.normalize("NFC").toLowerCase().replace(/^[#\s]+/u, "");
  const clean = plain.replace(/[\p{C},/#?]/gu, "").trim().replace(/\s+/gu, "-");
  return [...clean].slice(0, 40).join("");
}
