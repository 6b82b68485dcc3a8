// A chart of lines or stacked areas on a canvas: a thin face over uPlot, without any framework.
//
// The canvas is drawn once per data set. What follows the pointer (the thick line, the dot, the tooltip)
// lies on a layer above it: with a thousand series, redrawing them all on each move would cost 180 ms.

import uPlot from "uplot";
import { humanizeDuration } from "../format/duration";
import { shortNumber, tickSteps, tickTexts, type Unit } from "../format/number";
import { type Labels, labelPairs } from "../format/series";
import { formatTime, type Zone, zoneName } from "../format/time";
import { type Column, lonelyPoints, stack } from "./align";
import { inkColors, seriesColor } from "./palette";
import { timeTicks, yRange } from "./scale";

export interface ChartSpec {
  /** Unix seconds, one per value of each column. */
  readonly times: number[];
  readonly columns: readonly Column[];
  readonly labels: readonly Labels[];
  readonly shown: readonly boolean[];
  readonly stacked: boolean;
  readonly yAxisMin: number | null;
  readonly unit: Unit;
  readonly zone: Zone;
  readonly dark: boolean;
  readonly startMs: number;
  readonly endMs: number;
}

export interface ChartEvents {
  onZoom(startMs: number, endMs: number): void;
  onZoomOut(): void;
  /** The series under the pointer or the keys, for the legend; null when there is none. */
  onPoint(series: number | null): void;
  /** What the keys have reached, for people who listen. */
  onSay(text: string): void;
}

/** A shorter drag is a click with an unsteady hand. */
const ZOOM_PIXELS_MIN = 6;
/** Up to this far from a line the pointer means it. */
const NEAR_PIXELS = 60;

export class Chart {
  readonly #root: HTMLElement;
  readonly #events: ChartEvents;
  readonly #resize: ResizeObserver;
  readonly #tooltip = element("div", "chart-tooltip");
  readonly #layer = document.createElement("canvas");
  #spec: ChartSpec;
  #plot: uPlot;
  #columns: Column[];
  /** The series that is drawn thick, and the point with the dot. */
  #point: { series: number; index: number } | null = null;

  constructor(root: HTMLElement, spec: ChartSpec, events: ChartEvents) {
    this.#root = root;
    this.#events = events;
    this.#spec = spec;
    this.#columns = [];
    this.#tooltip.hidden = true;
    this.#layer.className = "chart-layer";
    this.#plot = this.#create();
    this.#resize = new ResizeObserver(() => this.#fit());
    this.#resize.observe(root);
    root.addEventListener("keydown", this.#onKey);
    root.addEventListener("blur", this.#onLeave);
  }

  update(spec: ChartSpec): void {
    this.#spec = spec;
    this.#plot.destroy();
    this.#plot = this.#create();
  }

  destroy(): void {
    this.#resize.disconnect();
    this.#root.removeEventListener("keydown", this.#onKey);
    this.#root.removeEventListener("blur", this.#onLeave);
    this.#plot.destroy();
  }

  /** Draws one series thick, as when the pointer rests on its entry in the legend. */
  highlight(series: number | null): void {
    this.#show(series === null ? null : { series, index: -1 });
  }

  #create(): uPlot {
    const { columns, shown, stacked, times } = this.#spec;
    this.#point = null;
    this.#tooltip.hidden = true;
    this.#columns = stacked ? stack(columns, shown) : [...columns];
    const plot = new uPlot(this.#options(), [times, ...this.#columns] as uPlot.AlignedData, this.#root);
    plot.over.append(this.#layer, this.#tooltip);
    return plot;
  }

  #options(): uPlot.Options {
    const { dark, endMs, stacked, startMs, unit, yAxisMin, zone, shown } = this.#spec;
    const ink = inkColors(dark);
    const font = `12px ${getComputedStyle(this.#root).fontFamily}`;
    const axis: uPlot.Axis = {
      stroke: ink.text,
      font,
      grid: { stroke: ink.grid, width: 1 },
      ticks: { stroke: ink.axis, width: 1, size: 4 },
      border: { show: true, stroke: ink.axis, width: 1 },
    };
    return {
      width: Math.max(this.#root.clientWidth, 200),
      height: Math.max(this.#root.clientHeight, 120),
      padding: [8, 12, 0, 0],
      legend: { show: false },
      tzDate: (seconds) =>
        zone === "utc" ? uPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC") : new Date(seconds * 1_000),
      cursor: {
        x: true,
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false },
        bind: {
          dblclick: () => () => {
            this.#events.onZoomOut();
            return null;
          },
        },
      },
      scales: {
        x: { time: true, range: () => [startMs / 1_000, endMs / 1_000] },
        y: { range: (_plot, min, max) => yRange(min, max, stacked && min >= 0 ? 0 : yAxisMin) },
      },
      axes: [
        {
          ...axis,
          size: 44,
          space: 76,
          values: (_plot, ticks, _axis, _space, step) => timeTicks(ticks, step, zone),
        },
        {
          ...axis,
          incrs: (_plot, _axis, min, max) => tickSteps(unit, min, max),
          space: 38,
          values: (_plot, ticks) => tickTexts(ticks, unit),
          size: (_plot, texts) => 18 + 7.4 * Math.max(3, ...(texts ?? []).map((text) => text.length)),
        },
      ],
      series: [{}, ...this.#columns.map((_, index) => this.#series(index))],
      bands: stacked ? this.#bands(shown) : [],
      hooks: {
        setCursor: [(plot) => this.#onPointer(plot)],
        setSelect: [(plot) => this.#onSelect(plot)],
        setSize: [() => this.#drawLayer()],
      },
    };
  }

  #series(index: number): uPlot.Series {
    const { dark, shown, stacked } = this.#spec;
    const color = seriesColor(index, dark);
    return {
      show: shown[index] ?? true,
      stroke: color,
      width: stacked ? 1 : 1.5,
      ...(stacked ? { fill: `${color}59` } : {}),
      points: {
        show: true,
        size: 5,
        fill: color,
        stroke: color,
        // Dots only where there is no line.
        filter: (plot, series, _show, gaps) => {
          if (gaps && gaps.length === 0 && plot.data[0].length > 2) return [];
          const column = plot.data[series] ?? [];
          return lonelyPoints(column as Column, 0, column.length - 1);
        },
      },
    };
  }

  /** Each area reaches down to the one below it that is shown. */
  #bands(shown: readonly boolean[]): uPlot.Band[] {
    const order = shown.flatMap((is, index) => (is ? [index + 1] : []));
    return order.slice(1).map((series, below) => ({ series: [series, order[below] ?? 1] }));
  }

  #fit(): void {
    const { clientHeight: height, clientWidth: width } = this.#root;
    const changed = width !== this.#plot.width || height !== this.#plot.height;
    if (width > 0 && height > 0 && changed) this.#plot.setSize({ width, height });
  }

  #onSelect(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < ZOOM_PIXELS_MIN) return;
    const start = plot.posToVal(left, "x") * 1_000;
    const end = plot.posToVal(left + width, "x") * 1_000;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#events.onZoom(Math.round(start), Math.round(end));
  }

  #onPointer(plot: uPlot): void {
    const { idx, left, top } = plot.cursor;
    if (idx == null || left == null || top == null || left < 0) {
      this.#show(null);
      return;
    }
    const series = this.#nearest(plot, idx, top);
    this.#show(series === null ? null : { series, index: idx });
  }

  /** The series whose value at a time is nearest to a height; in a stack, the area that the height lies in. */
  #nearest(plot: uPlot, index: number, top: number): number | null {
    const wanted = plot.posToVal(top, "y");
    const perPixel = Math.abs(plot.posToVal(0, "y") - plot.posToVal(1, "y"));
    let best: number | null = null;
    let distance = NEAR_PIXELS * perPixel;
    this.#columns.forEach((column, series) => {
      const value = column[index];
      if (value == null || !this.#spec.shown[series]) return;
      if (this.#spec.stacked && value < wanted) return;
      const away = this.#spec.stacked ? value - wanted : Math.abs(value - wanted);
      if (away < distance || (this.#spec.stacked && best === null)) {
        best = series;
        distance = away;
      }
    });
    return best;
  }

  #show(point: { series: number; index: number } | null): void {
    if (point?.series !== this.#point?.series) this.#events.onPoint(point?.series ?? null);
    if (point?.series !== this.#point?.series || point?.index !== this.#point?.index) {
      this.#point = point;
      this.#drawLayer();
      this.#fillTooltip();
    }
    this.#placeTooltip();
  }

  #drawLayer(): void {
    const { clientHeight: height, clientWidth: width } = this.#plot.over;
    const ratio = window.devicePixelRatio || 1;
    const layer = this.#layer;
    layer.width = Math.round(width * ratio);
    layer.height = Math.round(height * ratio);
    const context = layer.getContext("2d");
    const point = this.#point;
    const column = point && this.#columns[point.series];
    if (!context || !point || !column || !this.#spec.shown[point.series]) return;
    context.scale(ratio, ratio);
    context.strokeStyle = context.fillStyle = seriesColor(point.series, this.#spec.dark);
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.beginPath();
    let drawing = false;
    column.forEach((value, index) => {
      if (value === null) {
        drawing = false;
        return;
      }
      const { x, y } = this.#place(index, value);
      if (drawing) context.lineTo(x, y);
      else context.moveTo(x, y);
      drawing = true;
    });
    context.stroke();
    const value = column[point.index];
    if (value == null) return;
    const { x, y } = this.#place(point.index, value);
    context.beginPath();
    context.arc(x, y, 4.5, 0, 2 * Math.PI);
    context.fill();
  }

  #place(index: number, value: number): { x: number; y: number } {
    return { x: this.#plot.valToPos(this.#spec.times[index] ?? 0, "x"), y: this.#plot.valToPos(value, "y") };
  }

  #fillTooltip(): void {
    const point = this.#point;
    const value = point && this.#spec.columns[point.series]?.[point.index];
    const time = point && this.#spec.times[point.index];
    this.#tooltip.hidden = value == null || time == null;
    if (!point || value == null || time == null) return;
    const labels = this.#spec.labels[point.series] ?? {};
    const head = element("div", "chart-tooltip-value");
    const swatch = element("span", "swatch");
    swatch.style.background = seriesColor(point.series, this.#spec.dark);
    head.append(swatch, element("strong", "", shortNumber(value, this.#spec.unit, 6)));
    if (shortNumber(value, this.#spec.unit, 6) !== String(value))
      head.append(element("span", "muted", String(value)));
    const list = element("dl", "");
    for (const [name, text] of labelPairs(labels))
      list.append(element("dt", "", name), element("dd", "", text));
    this.#tooltip.replaceChildren(
      element("div", "muted", this.#timeText(time)),
      head,
      ...(labels.__name__ ? [element("div", "chart-tooltip-name", labels.__name__)] : []),
      list,
    );
  }

  #timeText(seconds: number): string {
    const ms = Math.round(seconds * 1_000);
    const ago = Date.now() - ms;
    const relative = ago >= 0 ? ` (${humanizeDuration(Math.round(ago / 1_000) * 1_000)} ago)` : "";
    return `${formatTime(ms - (ms % 1_000), this.#spec.zone)} ${zoneName(ms, this.#spec.zone)}${relative}`;
  }

  /** Beside the pointer, on the side that has room. */
  #placeTooltip(): void {
    if (this.#tooltip.hidden) return;
    const { left = 0, top = 0 } = this.#plot.cursor;
    const { clientWidth: width, clientHeight: height } = this.#plot.over;
    const { offsetHeight: tall, offsetWidth: wide } = this.#tooltip;
    const x = left + 16 + wide <= width ? left + 16 : Math.max(0, left - 16 - wide);
    const y = Math.max(-8, Math.min(top - tall / 2, height - tall + 30));
    this.#tooltip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  readonly #onLeave = () => {
    this.#plot.setCursor({ left: -10, top: -10 });
  };

  /** Left and right walk through time, up and down through the series. */
  readonly #onKey = (event: KeyboardEvent) => {
    const along =
      { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key] ?? 0;
    const across = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    if ((along === 0 && across === 0) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const shown = this.#spec.shown.flatMap((is, index) => (is ? [index] : []));
    if (shown.length === 0 || this.#spec.times.length === 0) return;
    const last = this.#spec.times.length - 1;
    const at = this.#point ? shown.indexOf(this.#point.series) : 0;
    const series = shown[(at + across + shown.length) % shown.length] ?? 0;
    const from = this.#point && this.#point.index >= 0 ? this.#point.index : last;
    const index = this.#point ? Math.max(0, Math.min(last, from + along)) : last;
    this.#moveTo(series, index);
  };

  #moveTo(series: number, index: number): void {
    const value = this.#columns[series]?.[index];
    const { x, y } = this.#place(index, value ?? 0);
    this.#plot.setCursor({ left: x, top: y }, false);
    this.#show({ series, index });
    const real = this.#spec.columns[series]?.[index];
    const time = formatTime((this.#spec.times[index] ?? 0) * 1_000, this.#spec.zone);
    this.#events.onSay(`${real == null ? "no value" : shortNumber(real, this.#spec.unit)} at ${time}`);
  }
}

function element(tag: string, className: string, text = ""): HTMLElement {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}
