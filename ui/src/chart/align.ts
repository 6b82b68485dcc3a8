// From series with their own times to columns over one shared time axis, which is what a chart draws.
//
// A range query answers on a grid (start, start + step, …), so a sample's place is computed, not searched
// for: one pass over the samples, whatever the gaps.

import { parseValue, type Series } from "../api/values";

/** A value per grid time; null where the series has none or where none can be drawn. */
export type Column = (number | null)[];

export interface Aligned {
  /** Unix seconds. */
  readonly times: number[];
  readonly columns: Column[];
  /** Samples that no axis can show: NaN and the infinities. */
  readonly undrawable: number;
  /** Series that have native histograms, which lines cannot show. */
  readonly histogramSeries: number;
}

/** The server refuses more than 11,000 points a series; one more than that is the end of a grid. */
const POINTS_MAX = 11_001;

/** All in milliseconds but the samples themselves. Samples off the grid (there should be none) go to the nearest point. */
export function align(series: readonly Series[], startMs: number, endMs: number, stepMs: number): Aligned {
  const points = gridPoints(startMs, endMs, stepMs);
  const times = Array.from({ length: points }, (_, i) => (startMs + i * stepMs) / 1_000);
  let undrawable = 0;
  let histogramSeries = 0;
  const columns = series.map(({ samples, histograms }) => {
    const column: Column = new Array(points).fill(null);
    for (const { time, text } of samples) {
      const index = Math.round((time * 1_000 - startMs) / stepMs);
      if (index < 0 || index >= points) continue;
      const value = parseValue(text);
      if (Number.isFinite(value)) column[index] = value;
      else undrawable++;
    }
    if (histograms.length > 0) histogramSeries++;
    return column;
  });
  return { times, columns, undrawable, histogramSeries };
}

function gridPoints(startMs: number, endMs: number, stepMs: number): number {
  if (!(stepMs > 0) || !(endMs >= startMs)) return 0;
  return Math.min(POINTS_MAX, Math.floor((endMs - startMs) / stepMs) + 1);
}

/** Milliseconds of the earliest sample, or null when there is none. Samples of a series are in order. */
export function firstSampleMs(series: readonly Series[]): number | null {
  const first = Math.min(...series.map(({ samples }) => samples[0]?.time ?? Number.POSITIVE_INFINITY));
  return Number.isFinite(first) ? Math.round(first * 1_000) : null;
}

/**
 * Columns laid on top of one another, in order, where `shown`; what is not shown adds nothing. A missing
 * value adds nothing either, but stays missing.
 */
export function stack(columns: readonly Column[], shown: readonly boolean[]): Column[] {
  const points = columns[0]?.length ?? 0;
  const base = new Float64Array(points);
  return columns.map((column, series) => {
    if (!shown[series]) return column;
    return column.map((value, i) => {
      if (value === null) return null;
      base[i] = (base[i] ?? 0) + value;
      return base[i] ?? null;
    });
  });
}

/** Indexes of points with no neighbour: a line through them has no length, so they need a dot. */
export function lonelyPoints(
  column: readonly (number | null | undefined)[],
  from: number,
  to: number,
): number[] {
  const lonely: number[] = [];
  for (let i = from; i <= to; i++) {
    if (column[i] != null && column[i - 1] == null && column[i + 1] == null) lonely.push(i);
  }
  return lonely;
}
