import { expect, test } from "vitest";
import { commonLabels, seriesText } from "./series";

test.each([
  [{ __name__: "up" }, "up"],
  [{ __name__: "up", job: "a", instance: "b:1" }, 'up{job="a", instance="b:1"}'],
  [{ mode: "idle" }, '{mode="idle"}'],
  [{}, "{}"],
  [{ __name__: "with.dots", "a.b": "c" }, '{"with.dots", "a.b"="c"}'],
  [{ __name__: "m", path: 'C:\\"x"\n' }, 'm{path="C:\\\\\\"x\\"\\n"}'],
] as const)("seriesText(%j)", (labels, text) => {
  expect(seriesText(labels)).toBe(text);
});

test("commonLabels", () => {
  expect([
    ...commonLabels([
      { a: "1", b: "2" },
      { a: "1", b: "3" },
    ]),
  ]).toEqual(["a"]);
  expect([...commonLabels([{ a: "1" }, { b: "1" }])]).toEqual([]);
  expect([...commonLabels([{ a: "1" }])]).toEqual([]);
});
