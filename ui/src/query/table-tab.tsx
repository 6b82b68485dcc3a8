// A query at one time, as rows.

import { useMemo, useState } from "preact/hooks";
import { ask, useRequest } from "../api/client";
import {
  bucketRange,
  decodeQueryData,
  type Histogram,
  parseValue,
  type QueryData,
  type Sample,
  type Series,
} from "../api/values";
import { count, plural } from "../format/number";
import { seriesText } from "../format/series";
import { formatTime } from "../format/time";
import { tick } from "../refresh";
import { zone } from "../settings";
import { Annotations, QueryError, Stats } from "./notes";
import type { Panel } from "./panel";
import { SeriesName } from "./series-name";

/** Rows drawn at first and with each "more": browsers lay out a few hundred without a hitch. */
const ROWS_STEP = 200;
/** Samples of one range vector in one cell. */
const SAMPLES_MAX = 100;

export function TableTab({ panel, run }: { panel: Panel; run: number }) {
  const follows = panel.endMs === null ? tick.value : 0;
  const key = panel.expr === "" ? null : JSON.stringify([panel.expr, panel.endMs, run, follows]);
  const { data, error, loading } = useRequest(key, async (signal) => {
    const timeMs = panel.endMs ?? Date.now();
    const answer = await ask("query", { query: panel.expr, time: String(timeMs / 1_000) }, signal);
    return { ...answer, data: decodeQueryData(answer.data), timeMs };
  });
  const parts = data
    ? [
        size(data.data),
        `${Math.round(data.ms)} ms`,
        `at ${formatTime(data.timeMs - (data.timeMs % 1_000), zone.value)}`,
      ]
    : [];
  return (
    <>
      {(!error || loading) && <Stats parts={parts} loading={loading} />}
      {error && <QueryError error={error} expr={panel.expr} />}
      {data && !error && (
        <>
          <Annotations warnings={data.warnings} infos={data.infos} />
          <Result data={data.data} />
        </>
      )}
      {!data && !error && panel.expr === "" && <p class="muted">No expression yet.</p>}
    </>
  );
}

function size(data: QueryData): string {
  return "series" in data ? plural(data.series.length, "series", "series") : data.type;
}

function Result({ data }: { data: QueryData }) {
  switch (data.type) {
    case "scalar":
    case "string":
      return (
        <table class="result">
          <tbody>
            <tr>
              <th scope="row">{data.type}</th>
              <td class="value">{data.sample.text}</td>
            </tr>
          </tbody>
        </table>
      );
    case "vector":
    case "matrix":
      if (data.series.length === 0) return <p class="muted">The query has an empty result.</p>;
      return <Rows series={data.series} withTimes={data.type === "matrix"} />;
  }
}

type Sort = { by: "series" | "value"; down: boolean } | null;

/** By number, NaN last; by the labels' text in the order of the alphabet. */
function sorted(series: readonly Series[], sort: Sort): readonly Series[] {
  if (!sort) return series;
  const sign = sort.down ? -1 : 1;
  if (sort.by === "series") {
    const keyed = series.map((one) => [seriesText(one.labels), one] as const);
    return keyed.sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0)).map(([, one]) => one);
  }
  const value = (one: Series) => parseValue(one.samples.at(-1)?.text ?? "NaN");
  return [...series].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return sign * (x < y ? -1 : x > y ? 1 : 0);
  });
}

function Rows({ series, withTimes }: { series: readonly Series[]; withTimes: boolean }) {
  const [max, setMax] = useState(ROWS_STEP);
  const [sort, setSort] = useState<Sort>(null);
  const rows = useMemo(() => sorted(series, sort), [series, sort]);
  const heading = (by: "series" | "value", text: string) => (
    <th scope="col" aria-sort={sort?.by === by ? (sort.down ? "descending" : "ascending") : "none"}>
      <button
        type="button"
        class="sort"
        // Up, down, and back to the server's order.
        onClick={() => setSort(sort?.by !== by ? { by, down: false } : sort.down ? null : { by, down: true })}
      >
        {text}
        <span aria-hidden="true">{sort?.by === by ? (sort.down ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
  return (
    <>
      <table class="result">
        <thead>
          <tr>
            {heading("series", "Series")}
            {heading("value", "Value")}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, max).map((one, index) => (
            <tr key={index}>
              <td>
                <SeriesName labels={one.labels} />
              </td>
              <td class="value">
                <Samples samples={one.samples} withTimes={withTimes} />
                {one.histograms.map((histogram) => (
                  <HistogramValue key={histogram.time} histogram={histogram} withTime={withTimes} />
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > max && (
        <p class="more">
          <span class="muted">
            {count(max)} of {count(rows.length)} rows
          </span>
          <button type="button" class="button" onClick={() => setMax(max + 5 * ROWS_STEP)}>
            Show {count(Math.min(5 * ROWS_STEP, rows.length - max))} more
          </button>
        </p>
      )}
    </>
  );
}

function Samples({ samples, withTimes }: { samples: readonly Sample[]; withTimes: boolean }) {
  if (!withTimes) return <>{samples[0]?.text}</>;
  const left = samples.length - SAMPLES_MAX;
  return (
    <>
      {samples.slice(0, SAMPLES_MAX).map(({ time, text }) => (
        <div key={time}>
          {text} <span class="muted">@ {formatTime(Math.round(time * 1_000), zone.value)}</span>
        </div>
      ))}
      {left > 0 && <div class="muted">and {plural(left, "more sample", "more samples")}</div>}
    </>
  );
}

function HistogramValue({ histogram, withTime }: { histogram: Histogram; withTime: boolean }) {
  return (
    <details class="histogram">
      <summary>
        count {histogram.count}, sum {histogram.sum}
        {withTime && (
          <span class="muted"> @ {formatTime(Math.round(histogram.time * 1_000), zone.value)}</span>
        )}
      </summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Bucket</th>
            <th scope="col">Count</th>
          </tr>
        </thead>
        <tbody>
          {histogram.buckets.map((bucket) => (
            <tr key={bucketRange(bucket)}>
              <td>{bucketRange(bucket)}</td>
              <td>{bucket.count}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
