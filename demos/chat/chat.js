// The page: which rooms are open, which of them is shown, and what is unread.

import { badge } from "./badge.js";
import { Composer } from "./composer.js";
import { Line } from "./line.js";
import { MessageList } from "./messages.js";
import { askName } from "./names.js";
import { isAfter, Room } from "./room.js";
import { drawMe, drawPeople, drawRooms, drawTypists, say, showBanner, showLine, toast } from "./sides.js";
import { keep, recall, token } from "./store.js";
import { roomName } from "./text.js";

const FIRST_ROOMS = ["lobby", "random", "help"];

const $ = (id) => document.getElementById(id);
const me = { name: recall("name", ""), secret: recall("secret") ?? token(), who: "" };
const rooms = new Map();
let current = null;

keep("secret", me.secret);
const line = new Line((state, carrier) => {
  showBanner(state);
  showLine(state, carrier);
});
const list = new MessageList(me);
const composer = new Composer((text) => {
  current.firstUnread = null;
  current.say(text);
  list.goToEnd();
});

// -- rooms -----------------------------------------------------------------------------------------------------------

function open(name) {
  if (rooms.has(name)) return rooms.get(name);
  const room = new Room(name, line.manager, me);
  const ifShown = (act) => () => room === current && act();
  room.addEventListener("messages", ifShown(() => list.update()));
  room.addEventListener("typing", ifShown(() => drawTypists(room)));
  room.addEventListener("people", ifShown(() => drawPeople(room)));
  room.addEventListener("state", ifShown(() => showRefusal()));
  room.addEventListener("caught-up", ({ detail }) => catchUp(room, detail));
  room.addEventListener("news", ({ detail }) => hear(room, detail.news, true));
  rooms.set(name, room);
  keep("rooms", [...rooms.keys()]);
  if (me.name) room.open();
  return room;
}

function close(name) {
  rooms.get(name).close();
  rooms.delete(name);
  keep("rooms", [...rooms.keys()]);
  if (current.name === name) location.hash = `#${encodeURIComponent(rooms.keys().next().value)}`;
  draw();
}

/** Show the room that the address names. */
function show() {
  const room = open(asked() || rooms.keys().next().value || FIRST_ROOMS[0]);
  if (room === current) return;
  if (current) current.firstUnread = null;
  current = room;
  composer.show(room);
  list.show(room);
  drawTypists(room);
  drawPeople(room);
  showRefusal();
  read();
  draw();
  for (const id of ["rooms", "people"]) if ($(id).matches(":popover-open")) $(id).hidePopover();
}

function asked() {
  try {
    return roomName(decodeURIComponent(location.hash.slice(1)));
  } catch {
    return ""; // not an encoded text: % without digits
  }
}

function draw() {
  const unread = [...rooms.values()].reduce((sum, room) => sum + room.unread, 0);
  $("room-title").textContent = `#${current.name}`;
  $("elsewhere").hidden = unread === current.unread;
  drawRooms([...rooms.values()], current, close);
  badge(unread, `#${current.name} · Hubbub`);
}

function showRefusal() {
  $("refusal").hidden = !current.refusal;
  $("refusal-reason").textContent = current.refusal;
}

// -- what is unread --------------------------------------------------------------------------------------------------

const watched = (room) => room === current && document.visibilityState === "visible";

function catchUp(room, { news, resumed, afresh }) {
  const seen = recall(`seen.${room.name}`);
  if (me.who !== room.you) drawMe(Object.assign(me, { who: room.you }));
  hear(room, resumed ? news : news.filter((message) => seen && isAfter(message.position, seen)), false);
  if (!seen) remember(room);
  if (room !== current) return;
  if (afresh) toast("Not all that was said meanwhile can be shown. These are the latest messages.");
  else if (resumed && news.length) toast(`${news.length} ${news.length === 1 ? "message" : "messages"} while you were away`);
}

function hear(room, news, live) {
  const others = news.filter((message) => message.who !== room.you);
  if (watched(room)) remember(room);
  if (room === current && live) say(others);
  if (room === current) list.heard(others.length);
  if (!others.length || (watched(room) && live)) return;
  room.firstUnread ??= others[0].key;
  if (room === current) list.update();
  if (watched(room)) return;
  room.unread += others.length;
  draw();
}

/** The person sees the room that is shown. */
function read() {
  current.unread = 0;
  remember(current);
}

function remember(room) {
  if (room.messages.length) keep(`seen.${room.name}`, room.messages.at(-1).position);
}

// -- what a person does elsewhere on the page ------------------------------------------------------------------------

async function changeName() {
  const name = await askName(me.name);
  if (!name || name === me.name) return;
  keep("name", name);
  rename(name);
  composer.focus();
}

function rename(name) {
  const first = !me.name;
  me.name = name;
  drawMe(me);
  for (const room of rooms.values()) {
    if (first || room.refusal) room.open();
    else room.rename(name);
  }
  list.update();
}

async function copyLink() {
  const address = `${location.origin}${location.pathname}#${encodeURIComponent(current.name)}`;
  try {
    await navigator.clipboard.writeText(address); // exists on https and localhost only
    toast("The link is copied.");
  } catch {
    toast(`The link is ${address}`);
  }
}

function changeTheme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const shown = root.dataset.theme ?? (dark ? "dark" : "light");
  const wanted = shown === "dark" ? "light" : "dark";
  if (wanted === (dark ? "dark" : "light")) delete root.dataset.theme;
  else root.dataset.theme = wanted;
  keep("theme", root.dataset.theme ?? null);
}

function openNew(event) {
  event.preventDefault();
  const name = roomName($("new-room-name").value);
  $("new-room-name").value = "";
  if (name) location.hash = `#${encodeURIComponent(name)}`;
}

$("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the room
  composer.focus();
});
$("new-room").addEventListener("submit", openNew);
$("change-name").addEventListener("click", changeName);
$("theme").addEventListener("click", changeTheme);
$("copy-link").addEventListener("click", copyLink);
$("invite").addEventListener("click", copyLink);
$("rejoin").addEventListener("click", () => current.open());
$("messages").addEventListener("click", ({ target }) => {
  const id = target.closest(".message")?.dataset.id;
  if (target.closest(".again")) current.again(id);
  if (target.closest(".edit")) composer.write(current.takeBack(id));
});

addEventListener("hashchange", show);
addEventListener("storage", ({ key }) => {
  if (key === "chat.name" && recall("name")) rename(recall("name")); // changed in another tab
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") read();
  else if (!current.unread) current.firstUnread = null;
  list.update(); // it may be another day, too
  draw();
});
for (const width of ["(min-width: 48rem)", "(min-width: 70rem)"]) {
  matchMedia(width).addEventListener("change", () => {
    for (const id of ["rooms", "people"]) if ($(id).matches(":popover-open")) $(id).hidePopover();
  });
}

for (const name of recall("rooms", FIRST_ROOMS)) open(name);
drawMe(me);
show();
if (!me.name) await changeName();
