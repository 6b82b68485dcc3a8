import { expect, test } from "vitest";
import { formatTime, parseTime, zoneName } from "./time";

const AT = Date.UTC(2026, 10, 24, 2, 31, 44);

test.each([
  ["2026-11-24 02:31:44", AT],
  ["2026-11-24T02:31:44Z", AT],
  ["2026-11-24T02:31:44.250Z", AT + 250],
  ["2026-11-24 02:31:44.25", AT + 250],
  ["2026-11-24T04:31:44+02:00", AT],
  ["2026-11-23T23:01:44-0330", AT],
  ["2026-11-24 02:31", AT - 44_000],
  ["2026-11-24", Date.UTC(2026, 10, 24)],
  ["1795487504", 1_795_487_504_000],
  ["1795487504.5", 1_795_487_504_500],
  ["", null],
  ["now", null],
  ["2026-13-01", null],
  ["2026-02-30 10:00", null],
  ["2026-11-24 24:00", null],
  ["Invalid date", null],
])("parseTime(%j) in UTC", (text, time) => {
  expect(parseTime(text, "utc")).toBe(time);
});

test("times without an offset are read in the zone asked for", () => {
  const local = new Date(2026, 10, 24, 2, 31, 44).getTime();
  expect(parseTime("2026-11-24 02:31:44", "local")).toBe(local);
  expect(parseTime("2026-11-24T02:31:44Z", "local")).toBe(AT);
});

test("formatTime writes what parseTime reads", () => {
  expect(formatTime(AT, "utc")).toBe("2026-11-24 02:31:44");
  expect(formatTime(AT + 7, "utc")).toBe("2026-11-24 02:31:44.007");
  for (const zone of ["utc", "local"] as const) {
    for (const time of [0, AT, AT + 123, 951_782_399_000]) {
      expect(parseTime(formatTime(time, zone), zone)).toBe(time);
    }
  }
});

test("zoneName", () => {
  expect(zoneName(AT, "utc")).toBe("UTC");
  expect(zoneName(AT, "local")).toMatch(/^UTC([+−]\d{1,2}(:\d{2})?)?$/);
});
