import { expect, test } from "vitest";
import { coarseDuration, formatDuration, humanizeDuration, parseDuration } from "./duration";

test.each([
  ["0", 0],
  ["0s", 0],
  ["5m", 300_000],
  ["1h30m", 5_400_000],
  ["1y2w3d4h5m6s7ms", 31_536_000_000 + 2 * 604_800_000 + 3 * 86_400_000 + 4 * 3_600_000 + 306_007],
  ["90d", 90 * 86_400_000],
  ["10ms", 10],
  // Not durations.
  ["", null],
  ["1", null],
  ["h", null],
  ["1.5h", null],
  ["30m1h", null],
  ["1h1h", null],
  ["1h ", null],
  [" 1h", null],
  ["-1h", null],
  ["1ms1s", null],
  ["99999999999999999999y", null],
])("parseDuration(%j) = %j", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  [0, "0s"],
  [1, "1ms"],
  [0.4, "0s"],
  [1_500, "1s500ms"],
  [5_400_000, "1h30m"],
  [604_800_000, "1w"],
  [90 * 86_400_000, "90d"],
  [365 * 86_400_000, "1y"],
  [-60_000, "-1m"],
])("formatDuration(%d) = %j", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test("what is formatted parses back", () => {
  for (let ms = 1; ms < 1e13; ms = Math.ceil(ms * 1.7)) {
    expect(parseDuration(formatDuration(ms))).toBe(ms);
  }
});

test.each([
  [0, "0s"],
  [0.0451, "0.0451ms"],
  [12.3456, "12.3ms"],
  [2_340, "2.34s"],
  [90_500, "1m 30.5s"],
  [432_302_123, "5d 5m 2.123s"],
])("humanizeDuration(%d) = %j", (ms, text) => {
  expect(humanizeDuration(ms)).toBe(text);
});

test.each([
  [-5, "0.0s"],
  [1_240, "1.2s"],
  [45_000, "45s"],
  [125_000, "2m 5s"],
  [7_500_000, "2h 5m"],
  [90_000_000, "1d 1h"],
])("coarseDuration(%d) = %j", (ms, text) => {
  expect(coarseDuration(ms)).toBe(text);
});
