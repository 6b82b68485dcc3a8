import { expect, test, vi } from "vitest";
import { locateError } from "./error-position";
import { nextRange, previousRange, RANGES_MS } from "./panel";

vi.mock("../settings", () => ({ keepHistory: { peek: () => true }, readStored: () => [], store: () => {} }));
const { matching, withEntry } = await import("./history");

test.each([
  ["1:4: parse error: unclosed left brace", "up{", { line: 1, column: 4, offset: 3, source: "up{" }],
  [
    'invalid parameter "query": 1:1: parse error: x',
    "foo",
    { line: 1, column: 1, offset: 0, message: "parse error: x" },
  ],
  ["2:3: parse error: no", "a +\n b b", { line: 2, column: 3, offset: 6, source: " b b" }],
  // Columns are bytes: ö takes two.
  ["1:6: parse error: no", '"ö" b', { offset: 4 }],
])("locateError(%j)", (error, expr, located) => {
  expect(locateError(error, expr)).toMatchObject(located);
});

test.each([
  ["query timed out in expression evaluation", "up"],
  ["9:1: parse error: beyond", "up"],
  ["1:0: parse error: before", "up"],
  ["", ""],
])("%j has no place", (error, expr) => {
  expect(locateError(error, expr)).toBeNull();
});

test("the caret never stands beyond the line", () => {
  expect(locateError("1:99: parse error: end", "up")?.offset).toBe(2);
});

test("history keeps each query once, newest first", () => {
  expect(withEntry(["a", "b"], "b")).toEqual(["b", "a"]);
  expect(withEntry(["a", "b"], "c", 2)).toEqual(["c", "a"]);
});

test("history is searched by words", () => {
  const entries = ["rate(node_cpu_seconds_total[5m])", "sum(up)", "up"];
  expect(matching(entries, "")).toEqual(entries);
  expect(matching(entries, "CPU rate")).toEqual([entries[0]]);
  expect(matching(entries, "  ")).toEqual(entries);
  expect(matching(entries, "disk")).toEqual([]);
});

test("ranges step up and down and stop at the ends", () => {
  expect(nextRange(3_600_000)).toBe(7_200_000);
  expect(previousRange(3_600_000)).toBe(1_800_000);
  expect(nextRange(4_000_000)).toBe(7_200_000);
  expect(previousRange(4_000_000)).toBe(3_600_000);
  expect(previousRange(RANGES_MS[0] ?? 0)).toBe(RANGES_MS[0]);
  expect(nextRange(1e15)).toBe(1e15);
});
