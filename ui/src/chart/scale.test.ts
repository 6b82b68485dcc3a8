import { expect, test } from "vitest";
import { timeTicks, yRange } from "./scale";

test.each<[number | null, number | null, number | null, [number, number]]>([
  [null, null, null, [0, 1]],
  [null, null, 5, [5, 6]],
  [1, 1, null, [0, 2]],
  [0, 0, null, [0, 1]],
  [-3, -3, null, [-6, 0]],
  [0, 100, null, [0, 106]],
  [10, 100, null, [0, 105.4]],
  [-100, -1, null, [-105.94, 0]],
  [90, 100, 0, [0, 100.6]],
  // A floor above all values still gives an axis.
  [1, 2, 50, [50, 51]],
])("yRange(%j, %j, %j)", (min, max, floor, range) => {
  const [low, high] = yRange(min, max, floor);
  expect(low).toBeCloseTo(range[0]);
  expect(high).toBeCloseTo(range[1]);
});

test("values far from zero keep their own axis", () => {
  const [low, high] = yRange(1_000, 1_010, null);
  expect(low).toBeCloseTo(999.4);
  expect(high).toBeCloseTo(1_010.6);
});

test("time ticks say the date once a day", () => {
  const midnight = Date.UTC(2026, 10, 24) / 1_000;
  expect(timeTicks([midnight - 1_800, midnight, midnight + 1_800], 1_800, "utc")).toEqual([
    "23:30\nNov 23",
    "00:00\nNov 24",
    "00:30",
  ]);
  expect(timeTicks([midnight, midnight + 5], 5, "utc")).toEqual(["00:00:00\nNov 24", "00:00:05"]);
  expect(timeTicks([midnight + 0.25], 0.25, "utc")).toEqual(["00:00:00.250\nNov 24"]);
  expect(timeTicks([midnight], 86_400, "utc")).toEqual(["Nov 24"]);
  expect(timeTicks([midnight], 31 * 86_400, "utc")).toEqual(["Nov 2026"]);
});
