import { expect, test } from "vitest";
import { itemAt } from "./windowed";

test.each([
  [-5, 0],
  [0, 0],
  [9, 0],
  [10, 1],
  [29, 1],
  [30, 2],
  [1e9, 3],
])("at pixel %d is item %d", (pixel, item) => {
  expect(itemAt([0, 10, 30, 60], pixel)).toBe(item);
});

test("an empty list has only its end", () => {
  expect(itemAt([0], 100)).toBe(0);
});
