// Charts of the last minutes, drawn by uPlot (vendor/) in the colours of the page.

import { el, setText } from "./dom.js";

const COLOURS = ["--bar-4", "--bar-5", "--bar-1", "--error"];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Chart {
  // format(value): a label of the axis. series: [{ label, of: (rates) => values }].
  // describe(rates): what the chart shows, as a sentence.
  constructor(title, format, series, describe) {
    this.format = format;
    this.series = series;
    this.describe = describe;
    this.plot = null;
    this.rates = null;
    this.box = el("div", { class: "chart", "aria-hidden": "true" });
    this.words = el("p", { class: "small" });
    this.swatches = series.map(() => el("i", {}));
    this.element = el("div", { class: "card" }, el("h3", {}, title), this.words,
      el("ul", { class: "legend", "aria-hidden": "true" },
        ...series.map(({ label }, index) => el("li", {}, this.swatches[index], label))),
      this.box);
    new ResizeObserver(() => this.#resize()).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.plot?.destroy();
      this.plot = null;
      if (this.rates) this.draw(this.rates);
    });
  }

  draw(rates) {
    this.rates = rates;
    setText(this.words, this.describe(rates));
    const data = [rates.times, ...this.series.map(({ of }) => of(rates))];
    if (this.plot) this.plot.setData(data);
    else if (this.box.clientWidth > 0) this.plot = this.#make(data);
  }

  #make(data) {
    this.swatches.forEach((swatch, index) => {
      swatch.style.background = `var(${COLOURS[index]})`;
    });
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui" };
    const { format } = this;
    return new uPlot({
      width: this.box.clientWidth,
      height: this.box.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [{ ...axis, space: 70 }, { ...axis, size: 62,
        values: (_plot, ticks) => ticks.map((tick) => format(tick)) }],
      series: [{}, ...this.series.map(({ label }, index) => ({
        label, stroke: colour(COLOURS[index]), width: 2, spanGaps: true,
        points: { show: data[index + 1].filter((value) => value !== null).length < 3 },
      }))],
    }, data, this.box);
  }

  #resize() {
    if (this.plot && this.box.clientWidth > 0) {
      this.plot.setSize({ width: this.box.clientWidth, height: this.box.clientHeight });
    }
  }
}
