// The two curves, drawn by uPlot. Time runs from the right edge, now, to the left.

/* global uPlot */

const SECONDS = 30;
const AGO = [-30, -20, -10, 0];
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

export const milliseconds = (value) => (value < 1_000 ? `${round(value)} ms` : `${round(value / 1_000)} s`);
export const bytes = (value) => (value < 1_000 ? `${round(value)} B` : `${round(value / 1_000)} kB`);

/** How the line of each transport is broken, for whoever cannot tell the colours apart. */
export const DASHES = [[], [9, 4], [2, 3], [9, 3, 2, 3]];

const round = (value) => Number(value.toPrecision(1));

/** A curve in `element`, with a line for each transport on a scale of powers of ten. `steps` are what is marked in each ten. */
export class Curve {
  #element;
  #options;
  #plot;
  #data;

  constructor(element, { names, unit, steps, least }) {
    this.#element = element;
    this.#options = { names, unit, steps, least };
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(element);
  }

  /** Draw it anew, in these colours. */
  paint({ lines, ink, grid }) {
    const { names, unit, steps, least } = this.#options;
    this.#plot?.destroy();
    const axis = { stroke: ink, font: FONT, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const marks = (plot, index, min, max) => {
      const all = [];
      for (let ten = 10 ** Math.floor(Math.log10(min)); ten <= max; ten *= 10) for (const step of steps) all.push(ten * step);
      return all.filter((mark) => mark >= min && mark <= max);
    };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { show: false },
        padding: [10, 14, 0, 0],
        scales: {
          x: { time: false, range: [-SECONDS, 0] },
          y: { distr: 3, range: (plot, min, max) => span(min, max, least, steps) },
        },
        axes: [
          { ...axis, splits: () => AGO, values: () => AGO.map((ago) => (ago ? `${-ago} s ago` : "now")), gap: 6, size: 30 },
          { ...axis, splits: marks, filter: (plot, splits) => splits, values: (plot, splits) => splits.map(unit), gap: 6, size: 62 },
        ],
        series: [
          {},
          ...names.map((label, index) => ({
            label, stroke: lines[index], width: 2, dash: DASHES[index], points: { show: false }, spanGaps: true,
          })),
        ],
      },
      this.#data ?? [[], ...names.map(() => [])],
      this.#element,
    );
  }

  /** `data`: seconds, not after now, then the values of each transport at these times. */
  draw(data) {
    this.#data = data;
    this.#plot.setData(data);
  }

  #size() {
    return { width: this.#element.clientWidth, height: this.#element.clientHeight };
  }
}

/** From a mark below all to a mark above all. */
function span(min, max, least, steps) {
  const low = Math.max(min ?? least, least);
  const high = Math.max(max ?? low * 10, low);
  const [down, up] = [10 ** Math.floor(Math.log10(low)), 10 ** Math.floor(Math.log10(high))];
  const below = [...steps].reverse().find((step) => step * down <= low * 1.0001) ?? 1;
  const above = steps.find((step) => step * up >= high) ?? 10;
  return [below * down, Math.max(above * up, below * down * 10)];
}
