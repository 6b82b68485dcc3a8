// What one query panel shows. A panel is a plain value; the URL holds all of it (`url.ts`).

export type Tab = "table" | "graph";

/** "heatmap" is kept for links from Prometheus and drawn as lines until there is a heatmap. */
export type DisplayMode = "lines" | "stacked" | "heatmap";

export type Density = "low" | "medium" | "high";

export type Resolution =
  | { readonly type: "auto"; readonly density: Density }
  | { readonly type: "fixed" | "custom"; readonly stepMs: number };

export interface Panel {
  readonly expr: string;
  readonly tab: Tab;
  readonly rangeMs: number;
  /** End of the graph and time of the table, Unix milliseconds; null follows the clock. */
  readonly endMs: number | null;
  readonly resolution: Resolution;
  readonly displayMode: DisplayMode;
  readonly yAxisMin: number | null;
  /** Not shown yet, but links keep them. */
  readonly showExemplars: boolean;
  readonly showTree: boolean;
}

export const DEFAULT_PANEL: Panel = {
  expr: "",
  tab: "table",
  rangeMs: 3_600_000,
  endMs: null,
  resolution: { type: "auto", density: "medium" },
  displayMode: "lines",
  yAxisMin: null,
  showExemplars: false,
  showTree: false,
};

/** Points across the graph per density: the same as Prometheus, so that links draw alike. */
const POINTS: Record<Density, number> = { low: 100, medium: 250, high: 750 };

/** Milliseconds between the points of a graph. */
export function stepMs(resolution: Resolution, rangeMs: number): number {
  if (resolution.type !== "auto") return resolution.stepMs;
  return Math.max(1_000, Math.floor(rangeMs / POINTS[resolution.density] / 1_000) * 1_000);
}

/** The ranges that − and + step through. */
export const RANGES_MS: readonly number[] = [
  1,
  10,
  60,
  5 * 60,
  15 * 60,
  30 * 60,
  3_600,
  2 * 3_600,
  6 * 3_600,
  12 * 3_600,
  86_400,
  2 * 86_400,
  7 * 86_400,
  14 * 86_400,
  28 * 86_400,
  56 * 86_400,
  112 * 86_400,
  182 * 86_400,
  365 * 86_400,
  730 * 86_400,
].map((seconds) => seconds * 1_000);

export function nextRange(rangeMs: number): number {
  return RANGES_MS.find((range) => range > rangeMs) ?? rangeMs;
}

export function previousRange(rangeMs: number): number {
  return RANGES_MS.findLast((range) => range < rangeMs) ?? rangeMs;
}
