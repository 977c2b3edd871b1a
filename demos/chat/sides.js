// What stands around the messages: the rooms, the people, who is typing, the state of the line, and short notices.

import { hue, initial, people, typingLine } from "./text.js";

const NOTICE = 5_000; // milliseconds a notice is shown
const BANNERS = {
  connecting: "Connecting",
  lost: "Connection lost. Trying again; what you write is kept and then sent.",
  offline: "You are offline. What you write is kept, and sent when you are back.",
  back: "Connected again",
};
const WAITING = { offline: "Offline", lost: "Reconnecting" };
const LINES = { websocket: "Live over WebSocket", polling: "Live over HTTP polling" };

const $ = (id) => document.getElementById(id);
const copy = (id) => $(id).content.firstElementChild.cloneNode(true);
let noticeTimer;

export function drawRooms(rooms, current, close) {
  $("room-list").replaceChildren(
    ...rooms.map((room) => {
      const row = copy("room-template");
      const link = row.querySelector("a");
      const leave = row.querySelector(".leave");
      link.href = `#${encodeURIComponent(room.name)}`;
      if (room === current) link.setAttribute("aria-current", "page");
      link.querySelector("bdi").textContent = room.name;
      link.classList.toggle("unread", room.unread > 0);
      link.querySelector(".count").textContent = room.unread > 99 ? "99+" : room.unread || "";
      if (room.unread) link.setAttribute("aria-label", `${room.name}, ${room.unread} unread`);
      leave.hidden = rooms.length === 1;
      leave.setAttribute("aria-label", `Leave ${room.name}`);
      leave.addEventListener("click", () => close(room.name));
      return row;
    }),
  );
}

export function drawPeople(room) {
  const own = room.people.filter((person) => person.who === room.you);
  const others = room.people.filter((person) => person.who !== room.you);
  others.sort((one, other) => one.name.localeCompare(other.name));
  $("count").textContent = room.count || "";
  $("open-people").setAttribute("aria-label", `${people(room.count)} here`);
  $("people-count").textContent = room.count || "";
  $("people-list").replaceChildren(
    ...[...own, ...others].map((person) => {
      const row = copy("person-template");
      dress(row.querySelector(".avatar"), person.who, person.name);
      row.querySelector("bdi").textContent = person.name;
      row.querySelector(".you").hidden = person.who !== room.you;
      return row;
    }),
  );
  const more = room.count - room.people.length;
  const rest = more > 0 ? `and ${more.toLocaleString("en")} more` : "";
  $("people-more").textContent = room.count ? rest : "Who is here is known once you are connected.";
}

export function drawTypists(room) {
  const text = typingLine(room.typists);
  $("typing").querySelector("bdi").textContent = text;
  $("typing").classList.toggle("shown", text !== "");
}

export function drawMe(me) {
  $("my-name").textContent = me.name || "No name yet";
  dress($("my-initial"), me.who, me.name);
}

export function dress(avatar, who, name) {
  avatar.style.setProperty("--hue", hue(who));
  avatar.textContent = initial(name);
}

export function showBanner(state) {
  $("banner").dataset.state = state;
  $("banner").textContent = BANNERS[state] ?? "";
}

export function showLine(state, carrier) {
  $("line").dataset.state = state;
  $("line").textContent = LINES[carrier] ?? WAITING[state] ?? "Connecting";
}

/** Have a screen reader say these messages. */
export function say(messages) {
  if (!messages.length) return;
  $("announcer").textContent = messages.map((message) => `${message.name}: ${message.text}`).join("\n");
}

export function toast(text) {
  clearTimeout(noticeTimer);
  $("toast").textContent = text;
  noticeTimer = setTimeout(() => ($("toast").textContent = ""), NOTICE);
}
