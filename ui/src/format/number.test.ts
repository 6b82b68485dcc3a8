import { expect, test } from "vitest";
import { count, plural, shortNumber, tickSteps, tickTexts, unitOfNames } from "./number";

test.each([
  [0, "none", "0"],
  [0.25, "none", "0.25"],
  [0.012, "none", "0.012"],
  [0.001, "none", "1m"],
  [0.00025, "none", "250µ"],
  [999, "none", "999"],
  [1_000, "none", "1k"],
  [1_234_567, "none", "1.235M"],
  [-1_500, "none", "-1.5k"],
  [1e27, "none", "1.000e+27"],
  [5e-324, "none", "4.941e-324"],
  [Number.NaN, "none", "NaN"],
  [Number.POSITIVE_INFINITY, "bytes", "+Inf"],
  [Number.NEGATIVE_INFINITY, "seconds", "-Inf"],
  [0, "bytes", "0B"],
  [1_536, "bytes", "1.5KiB"],
  [3 * 2 ** 30, "bytes", "3GiB"],
  [0.5, "bytes", "0.5B"],
  [0.25, "seconds", "0.25s"],
  [0.0032, "seconds", "3.2ms"],
  [90, "seconds", "90s"],
  [600, "seconds", "10m"],
  [86_400 * 3, "seconds", "3d"],
  [12.5, "percent", "12.5%"],
] as const)("shortNumber(%d, %s) = %j", (value, unit, text) => {
  expect(shortNumber(value, unit)).toBe(text);
});

test.each([
  [["node_memory_MemFree_bytes"], "bytes"],
  [["node_memory_MemFree_bytes", "go_memstats_heap_bytes"], "bytes"],
  [["node_memory_MemFree_bytes", "up"], "none"],
  [["node_network_receive_bytes_total"], "bytes"],
  [["node_disk_io_time_seconds_total"], "seconds"],
  [["scrape_duration_seconds"], "seconds"],
  [["process_start_time_seconds"], "none"],
  [["node_boot_time_seconds"], "none"],
  [["prometheus_config_last_reload_success_timestamp_seconds"], "none"],
  [["mem_used_percent"], "percent"],
  [[""], "none"],
  [[], "none"],
] as const)("unitOfNames(%j) = %j", (names, unit) => {
  expect(unitOfNames(names)).toBe(unit);
});

test("ticks stay apart", () => {
  expect(tickTexts([0, 0.05, 0.1, 0.15], "none")).toEqual(["0", "0.05", "0.1", "0.15"]);
  expect(tickTexts([100_000, 100_010, 100_020], "none")).toEqual(["100k", "100.01k", "100.02k"]);
  expect(tickTexts([0, 2 ** 20, 2 ** 21], "bytes")).toEqual(["0B", "1MiB", "2MiB"]);
  expect(tickTexts([1, 1 + 1e-14], "none")).toEqual(["1", "1.00000000000001"]);
});

test("bytes are round in the unit of the axis", () => {
  const gib = 2 ** 30;
  const steps = tickSteps("bytes", 21 * gib, 21.2 * gib);
  expect(steps).toContain(0.05 * gib);
  expect(tickTexts([21 * gib, 21.05 * gib, 21.1 * gib], "bytes")).toEqual(["21GiB", "21.05GiB", "21.1GiB"]);
  expect(tickTexts([0, 0.5 * gib, gib], "bytes")).toEqual(["0B", "0.5GiB", "1GiB"]);
  expect(Math.min(...tickSteps("bytes", 0, 10))).toBe(1);
});

test("tick steps ascend", () => {
  for (const unit of ["none", "bytes"] as const) {
    const steps = tickSteps(unit, 0, 5e9);
    for (let i = 1; i < steps.length; i++) expect(steps[i]).toBeGreaterThan(steps[i - 1] as number);
  }
});

test("counts", () => {
  expect(count(393_000)).toBe("393\u202f000");
  expect(plural(1, "series", "series")).toBe("1 series");
  expect(plural(2, "row")).toBe("2 rows");
});
