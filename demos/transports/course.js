// One transport's course: its line while it runs, its figures, its row in the table.

import { DASHES } from "./curves.js";
import { Figures } from "./figures.js";

const count = (number) => number.toLocaleString("en");
export const inMilliseconds = (value) =>
  value === null ? "–" : `${value < 100 ? Math.max(0, value).toFixed(1) : count(Math.round(value))} ms`;
export const inBytes = (value) => (value === null ? "–" : count(Math.round(value)));

export class Course {
  figures = new Figures();
  isLive = false;
  line = null;

  /** `hear(course, position, tick, now)` is told of each tick. */
  constructor({ name, how, open }, { template, body, index, hear }) {
    this.row = template.content.firstElementChild.cloneNode(true);
    this.row.querySelector(".name").textContent = name;
    this.row.querySelector(".how").textContent = how;
    this.stroke = this.row.querySelector(".stroke");
    this.stroke.style.color = `var(--line-${index})`;
    this.stroke.style.strokeDasharray = DASHES[index].join(" ");
    body.append(this.row);
    this.cells = Object.fromEntries([...this.row.querySelectorAll("[data-of]")].map((cell) => [cell.dataset.of, cell]));
    Object.assign(this, { name, index, open, hear });
  }

  start(after) {
    this.figures.restart();
    this.line = this.open(after, this);
  }

  stop() {
    this.line?.close();
    this.line = null;
    this.isLive = false;
  }

  // -- what its line calls

  live(isLive) {
    this.isLive = isLive;
  }

  request() {
    this.figures.requests += 1;
  }

  spend(up, down) {
    this.figures.spend(up, down, performance.now());
  }

  broke() {
    this.figures.breaks += 1;
  }

  tick(position, tick) {
    const now = performance.now();
    this.figures.hear(position, tick.at, now);
    this.hear(this, position, tick, now);
  }

  // -- what is seen and said

  draw(now, offset, paused) {
    const { figures, cells, isLive } = this;
    const { p50, p99, bytes } = figures.lately(now, offset);
    this.row.dataset.live = isLive;
    this.row.querySelector(".state").textContent = isLive ? "live" : paused ? "paused" : "connecting";
    cells.p50.textContent = inMilliseconds(p50);
    cells.p99.textContent = inMilliseconds(p99);
    cells.bytes.textContent = inBytes(bytes);
    cells.requests.textContent = count(figures.requests);
    cells.messages.textContent = count(figures.messages);
    cells.gaps.textContent = count(figures.missing + figures.disorder);
  }

  inWords(now, offset) {
    const { p50, p99, bytes } = this.figures.lately(now, offset);
    if (p50 === null) return `${this.name} has heard nothing lately.`;
    return `${this.name}: half within ${inMilliseconds(p50)}, 99 of 100 within ${inMilliseconds(p99)}, ${inBytes(bytes)} bytes a message.`;
  }
}

/** The one sentence over all of them, and the kind of news it is. */
export function judge(courses, { paused, disagree }) {
  const live = courses.filter(({ isLive }) => isLive).length;
  const least = count(Math.min(...courses.map(({ figures }) => figures.messages)));
  const faulty = courses.filter(({ figures }) => figures.missing || figures.disorder).map(({ name }) => name);
  if (disagree) return { news: "differ", text: "They do not agree on what was said." };
  if (faulty.length) return { news: "differ", text: `Something is missing or out of order: ${faulty.join(", ")}.` };
  if (paused) return { news: "paused", text: `Paused after ${least} ticks.` };
  if (live < courses.length) return { news: "waiting", text: `${live} of ${courses.length} transports are live …` };
  if (courses.some(({ figures }) => figures.breaks))
    return { news: "anew", text: "The server’s log began anew: what was said before, and not heard yet, cannot be had." };
  return { news: "same", text: `Four transports, ${least} ticks each: the same ones, in the same order, none missing.` };
}
