import { expect, test } from "vitest";
import { bucketRange, DecodeError, decodeQueryData, parseValue } from "./values";

test.each([
  ["0", 0],
  ["-0", -0],
  ["1.5", 1.5],
  ["1e+21", 1e21],
  ["5e-324", 5e-324],
  ["NaN", Number.NaN],
  ["+Inf", Number.POSITIVE_INFINITY],
  ["Inf", Number.POSITIVE_INFINITY],
  ["-Inf", Number.NEGATIVE_INFINITY],
])("parseValue(%j)", (text, value) => {
  expect(parseValue(text)).toBe(value);
});

test.each(["", " ", "nan", "inf", "1,5", "one", "1 2"])("parseValue(%j) is refused", (text) => {
  expect(() => parseValue(text)).toThrow(DecodeError);
});

test("a vector", () => {
  const data = { resultType: "vector", result: [{ metric: { __name__: "up" }, value: [1.5, "NaN"] }] };
  expect(decodeQueryData(data)).toEqual({
    type: "vector",
    series: [{ labels: { __name__: "up" }, samples: [{ time: 1.5, text: "NaN" }], histograms: [] }],
  });
});

test("a matrix with floats and native histograms", () => {
  const histogram = {
    count: "3",
    sum: "+Inf",
    buckets: [
      [3, "-0.5", "0.5", "1"],
      [0, "1", "2", "2"],
    ],
  };
  const data = {
    resultType: "matrix",
    result: [
      {
        metric: {},
        values: [
          [1, "1"],
          [2, "-Inf"],
        ],
        histograms: [[3, histogram]],
      },
    ],
  };
  const decoded = decodeQueryData(data);
  expect(decoded).toMatchObject({ type: "matrix", series: [{ samples: [{ text: "1" }, { text: "-Inf" }] }] });
  if (decoded.type !== "matrix") throw new Error("not a matrix");
  const buckets = decoded.series[0]?.histograms[0]?.buckets ?? [];
  expect(buckets.map(bucketRange)).toEqual(["[-0.5, 0.5]", "(1, 2]"]);
});

test("scalars and strings", () => {
  expect(decodeQueryData({ resultType: "scalar", result: [1, "+Inf"] })).toEqual({
    type: "scalar",
    sample: { time: 1, text: "+Inf" },
  });
  // A string need not be a number.
  expect(decodeQueryData({ resultType: "string", result: [1, "hello"] })).toEqual({
    type: "string",
    sample: { time: 1, text: "hello" },
  });
});

test.each([
  ["nothing", null],
  ["a list", []],
  ["an unknown type", { resultType: "tensor", result: [] }],
  ["no result", { resultType: "vector" }],
  ["null for a list", { resultType: "matrix", result: null }],
  ["a series without labels", { resultType: "vector", result: [{ value: [1, "1"] }] }],
  ["a number for a value", { resultType: "vector", result: [{ metric: {}, value: [1, 1] }] }],
  ["a word for a value", { resultType: "scalar", result: [1, "hello"] }],
  ["a text for a time", { resultType: "scalar", result: ["1", "1"] }],
  [
    "an unknown bucket rule",
    {
      resultType: "vector",
      result: [{ metric: {}, histogram: [1, { count: "1", sum: "1", buckets: [[9, "1", "2", "3"]] }] }],
    },
  ],
])("%s is refused", (_why, data) => {
  expect(() => decodeQueryData(data)).toThrow(DecodeError);
});
