import { expect, test } from "vitest";
import type { Series } from "../api/values";
import { align, firstSampleMs, lonelyPoints, stack } from "./align";

const series = (...samples: [time: number, text: string][]): Series => ({
  labels: {},
  samples: samples.map(([time, text]) => ({ time, text })),
  histograms: [],
});

test("series with different gaps share one grid", () => {
  const aligned = align([series([10, "1"], [30, "3"]), series([20, "2"])], 10_000, 30_000, 10_000);
  expect(aligned.times).toEqual([10, 20, 30]);
  expect(aligned.columns).toEqual([
    [1, null, 3],
    [null, 2, null],
  ]);
});

test("no series is a chart with an empty grid of times", () => {
  expect(align([], 0, 2_000, 1_000)).toEqual({
    times: [0, 1, 2],
    columns: [],
    undrawable: 0,
    histogramSeries: 0,
  });
});

test("NaN and infinities leave gaps and are counted", () => {
  const aligned = align([series([0, "NaN"], [1, "+Inf"], [2, "-Inf"], [3, "4"])], 0, 3_000, 1_000);
  expect(aligned.columns).toEqual([[null, null, null, 4]]);
  expect(aligned.undrawable).toBe(3);
});

test("millisecond grids do not drift in binary fractions", () => {
  const start = 1_795_487_504_123;
  const samples = Array.from({ length: 1_001 }, (_, i): [number, string] => [
    (start + i * 100) / 1_000,
    String(i),
  ]);
  const { columns, times } = align([series(...samples)], start, start + 100_000, 100);
  expect(columns[0]).toEqual(samples.map((_, i) => i));
  expect(times).toHaveLength(1_001);
});

test("samples outside the range are left out", () => {
  expect(align([series([-1, "1"], [0, "2"], [9, "3"])], 0, 1_000, 1_000).columns).toEqual([[2, null]]);
});

test("nonsense ranges give no points instead of all memory", () => {
  expect(align([series([0, "1"])], 0, 1_000, 0).times).toEqual([]);
  expect(align([series([0, "1"])], 1_000, 0, 1).times).toEqual([]);
  expect(align([], 0, 1e15, 1).times).toHaveLength(11_001);
});

test("histograms are counted", () => {
  const native: Series = {
    labels: {},
    samples: [],
    histograms: [{ time: 0, count: "1", sum: "1", buckets: [] }],
  };
  expect(align([native, series([0, "1"])], 0, 0, 1_000)).toMatchObject({
    histogramSeries: 1,
    columns: [[null], [1]],
  });
});

test("stacking skips hidden series and keeps gaps", () => {
  const columns = [
    [1, 1, null],
    [10, 10, 10],
    [100, null, 100],
  ];
  expect(stack(columns, [true, true, true])).toEqual([
    [1, 1, null],
    [11, 11, 10],
    [111, null, 110],
  ]);
  expect(stack(columns, [true, false, true])).toEqual([
    [1, 1, null],
    [10, 10, 10],
    [101, null, 100],
  ]);
  expect(stack([], [])).toEqual([]);
});

test("the first sample of all", () => {
  expect(firstSampleMs([series([20, "1"], [30, "1"]), series([10.5, "1"]), series()])).toBe(10_500);
  expect(firstSampleMs([])).toBeNull();
  expect(firstSampleMs([series()])).toBeNull();
});

test("lonely points", () => {
  expect(lonelyPoints([1, null, 2, 3, null, 4], 0, 5)).toEqual([0, 5]);
  expect(lonelyPoints([null, 7, null], 0, 2)).toEqual([1]);
  expect(lonelyPoints([], 0, 0)).toEqual([]);
});
