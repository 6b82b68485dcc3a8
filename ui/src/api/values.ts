// The results of queries, as the HTTP API writes them, decoded and checked.

import type { Labels } from "../format/series";

/** A float sample: Unix seconds and the server's own text of the value. */
export interface Sample {
  readonly time: number;
  readonly text: string;
}

/** A bucket of a native histogram: which ends it includes, its bounds and its count. */
export interface Bucket {
  readonly rule: 0 | 1 | 2 | 3;
  readonly lower: string;
  readonly upper: string;
  readonly count: string;
}

export interface Histogram {
  readonly time: number;
  readonly count: string;
  readonly sum: string;
  readonly buckets: readonly Bucket[];
}

export interface Series {
  readonly labels: Labels;
  readonly samples: readonly Sample[];
  readonly histograms: readonly Histogram[];
}

export type QueryData =
  | { readonly type: "vector" | "matrix"; readonly series: readonly Series[] }
  | { readonly type: "scalar" | "string"; readonly sample: Sample };

/** The answer is not what the API promises: the server is not one of ours, or something between changed it. */
export class DecodeError extends Error {
  override name = "DecodeError";
}

/** A sample value's number. JSON has no NaN and no infinities, so values travel as text. */
export function parseValue(text: string): number {
  switch (text) {
    case "NaN":
      return Number.NaN;
    case "+Inf":
    case "Inf":
      return Number.POSITIVE_INFINITY;
    case "-Inf":
      return Number.NEGATIVE_INFINITY;
  }
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isNaN(value)) throw new DecodeError(`not a sample value: ${JSON.stringify(text)}`);
  return value;
}

/** The `data` of `/api/v1/query` and `/api/v1/query_range`. */
export function decodeQueryData(data: unknown): QueryData {
  const { resultType, result } = object(data, "data");
  switch (resultType) {
    case "vector":
    case "matrix":
      return { type: resultType, series: array(result, "result").map(decodeSeries) };
    case "scalar":
      return { type: resultType, sample: decodeSample(result) };
    case "string":
      return { type: resultType, sample: decodePair(result) };
    default:
      throw new DecodeError(`unknown result type ${JSON.stringify(resultType)}`);
  }
}

function decodeSeries(element: unknown): Series {
  const { metric, value, values, histogram, histograms } = object(element, "series");
  const floats = value !== undefined ? [value] : array(values ?? [], "values");
  const native = histogram !== undefined ? [histogram] : array(histograms ?? [], "histograms");
  return {
    labels: object(metric, "metric") as Labels,
    samples: floats.map(decodeSample),
    histograms: native.map(decodeHistogram),
  };
}

function decodeSample(pair: unknown): Sample {
  const sample = decodePair(pair);
  parseValue(sample.text);
  return sample;
}

function decodePair(pair: unknown): Sample {
  const [time, text] = array(pair, "sample");
  if (typeof time !== "number" || typeof text !== "string") {
    throw new DecodeError(`not a sample: ${JSON.stringify(pair)}`);
  }
  return { time, text };
}

function decodeHistogram(pair: unknown): Histogram {
  const [time, value] = array(pair, "histogram");
  const { count, sum, buckets } = object(value, "histogram");
  if (typeof time !== "number" || typeof count !== "string" || typeof sum !== "string") {
    throw new DecodeError("not a histogram");
  }
  return {
    time,
    count,
    sum,
    buckets: array(buckets ?? [], "buckets").map((bucket) => {
      const [rule, lower, upper, inside] = array(bucket, "bucket");
      if (rule !== 0 && rule !== 1 && rule !== 2 && rule !== 3)
        throw new DecodeError(`unknown bucket rule ${rule}`);
      return { rule, lower: String(lower), upper: String(upper), count: String(inside) };
    }),
  };
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DecodeError(`${what} is not an object`);
  }
  return value as Record<string, unknown>;
}

function array(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw new DecodeError(`${what} is not a list`);
  return value;
}

/** `[lower, upper)` and its kin, by the bucket's rule. */
export function bucketRange(bucket: Bucket): string {
  const open = bucket.rule === 1 || bucket.rule === 3 ? "[" : "(";
  const close = bucket.rule === 0 || bucket.rule === 3 ? "]" : ")";
  return `${open}${bucket.lower}, ${bucket.upper}${close}`;
}
