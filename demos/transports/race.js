// The page: four courses side by side, their curves, and the verdict over all of them.

import { measureHead, request } from "./bytes.js";
import { Clock } from "./clock.js";
import { Course, judge } from "./course.js";
import { bytes, Curve, milliseconds } from "./curves.js";
import { SPAN } from "./figures.js";
import { transports } from "./transports.js";

const NUMBERS = 250; // milliseconds between two looks at the numbers: who reads them needs so long
const CURVES = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1_000 : 100;
const SAMPLES = 500; // milliseconds between two points of the bytes' curve
const EXCHANGES = 1_000; // milliseconds between two questions for the server's time

const $ = (id) => document.getElementById(id);
const clock = new Clock();

/** Ticks by position, as they came: the server's time of each, and ours when each course had it. */
const ticks = new Map();
let costs = [];
let state = "paused"; // or "starting", "running"
let attempt = 0;
let disagree = false;

export const courses = transports(() => Number($("interval").value)).map(
  (transport, index) => new Course(transport, { template: $("row"), body: $("table").tBodies[0], index, hear }),
);
const names = courses.map(({ name }) => name);
const latency = new Curve($("latency"), { names, unit: milliseconds, steps: [1], least: 0.1 });
const cost = new Curve($("bytes"), { names, unit: bytes, steps: [1, 2, 5], least: 1 });

function hear({ index }, position, { at, rate }, now) {
  const tick = ticks.get(position) ?? { at, heard: courses.map(() => null) };
  if (tick.at !== at) disagree = true;
  tick.heard[index] = now;
  ticks.set(position, tick);
  follow(rate);
}

// -- start and pause -------------------------------------------------------------------------------------------------------------------

async function start() {
  const mine = (attempt += 1);
  turn("starting");
  while (mine === attempt) {
    try {
      await measureHead();
      const { position } = await (await request("/topics/ticker")).json(); // the line behind which all start
      if (mine !== attempt) return;
      ticks.clear();
      costs = [];
      for (const course of courses) course.start(position);
      turn("running");
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

function pause() {
  attempt += 1;
  for (const course of courses) course.stop();
  turn("paused");
}

function turn(next) {
  state = next;
  $("pause").textContent = state === "paused" ? "Start" : "Pause";
  drawNumbers();
}

$("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state === "paused") start();
  else pause();
});

// A tab that nobody sees is given time once a second or less: what it measured would be its own sleep.
let sleeps = false;
document.addEventListener("visibilitychange", () => {
  if (document.hidden && state !== "paused") {
    sleeps = true;
    pause();
  } else if (!document.hidden && sleeps) {
    sleeps = false;
    start();
  }
});

// -- the server's clock, and its rate --------------------------------------------------------------------------------------------------

/** Over the WebSocket, or where there is none by a request, which takes longer and so is known less well. */
async function exchange() {
  const [socket] = courses;
  if (state !== "running") return;
  await clock.measure(() => (socket.isLive ? socket.line.ask("clock") : post("clock"))).catch(() => clock.forget());
}

async function post(event, payload = {}) {
  const [headers, body] = [{ "content-type": "application/json" }, JSON.stringify(payload)];
  const response = await fetch(`/topics/ticker/${event}`, { method: "POST", headers, body });
  return response.status === 204 ? undefined : response.json();
}

let isSetting; // from a hand on the control until ticks have had the time to tell of the new rate

function follow(rate) {
  if (isSetting || Number($("rate").value) === rate) return;
  $("rate").value = rate;
  $("rate-told").textContent = rate;
}

function hold() {
  clearTimeout(isSetting);
  isSetting = setTimeout(() => (isSetting = undefined), 2_000);
}

$("rate").addEventListener("input", () => {
  hold();
  $("rate-told").textContent = $("rate").value;
});
$("rate").addEventListener("change", () => {
  hold();
  post("rate", { rate: Number($("rate").value) }).catch(() => {});
});

// -- what is seen ----------------------------------------------------------------------------------------------------------------------

function drawNumbers() {
  const now = performance.now();
  const time = clock.read(now);
  for (const course of courses) course.draw(now, time?.offset, state === "paused");
  if (time) $("clock").textContent = `The server’s clock is known to ± ${Math.max(0.1, time.error).toFixed(1)} ms.`;
  const { news, text } = verdict();
  // What changes all the time is nothing to be read out: that it has become something else is.
  if ($("verdict").dataset.news !== news) $("announcer").textContent = text;
  $("verdict").dataset.news = news;
  $("verdict").textContent = text;
}

const verdict = () => judge(courses, { paused: state === "paused", disagree });

function drawCurves() {
  if (state !== "running") return;
  const now = performance.now();
  const time = clock.read(now);
  if (time) latency.draw(latencies(now, time.offset));
  cost.draw([costs.map(({ at }) => (at - now) / 1_000), ...courses.map((_, index) => costs.map(({ each }) => each[index]))]);
}

/** Columns for the curve, of the ticks that it has room for. */
function latencies(now, offset) {
  const columns = [[], ...courses.map(() => [])];
  for (const [position, { at, heard }] of ticks) {
    const then = at - offset;
    if (then < now - SPAN - 1_000) {
      ticks.delete(position);
      continue;
    }
    columns[0].push((then - now) / 1_000);
    heard.forEach((heardAt, index) => columns[index + 1].push(heardAt === null ? null : Math.max(0.1, heardAt - then)));
  }
  return columns;
}

function sample() {
  if (state !== "running") return;
  const now = performance.now();
  costs.push({ at: now, each: courses.map(({ figures }) => figures.lately(now).bytes) });
  costs = costs.filter(({ at }) => at > now - SPAN - 1_000);
}

/** In the colours of the day, or of the night. */
function paint() {
  const lines = courses.map(({ stroke }) => getComputedStyle(stroke).color);
  const [ink, grid] = [getComputedStyle($("clock")).color, getComputedStyle($("latency")).borderBottomColor];
  for (const curve of [latency, cost]) curve.paint({ lines, ink, grid });
}

$("sum").addEventListener("click", () => {
  const now = performance.now();
  const offset = clock.read(now)?.offset;
  $("summary").textContent = [verdict().text, ...courses.map((course) => course.inWords(now, offset))].join("\n");
});

const [{ nextHopProtocol: http }] = performance.getEntriesByType("navigation");
$("http").textContent = /^h[23]/.test(http) ? `This page came over ${http}, which writes heads shorter than they are counted here.` : "";

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
paint();
setInterval(drawNumbers, NUMBERS);
setInterval(drawCurves, CURVES);
setInterval(sample, SAMPLES);
setInterval(exchange, EXCHANGES);
start();
