// A query over a range of time, drawn.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, useRequest } from "../api/client";
import { decodeQueryData } from "../api/values";
import { type Aligned, align, firstSampleMs } from "../chart/align";
import type { Chart, ChartSpec } from "../chart/chart";
import { formatDuration } from "../format/duration";
import { count, plural, type Unit, unitOfNames } from "../format/number";
import { type Labels, seriesText } from "../format/series";
import { tick } from "../refresh";
import { isDark, zone } from "../settings";
import { Legend } from "./legend";
import { Annotations, QueryError, Stats } from "./notes";
import { type Panel, stepMs } from "./panel";

// Its own file, fetched beside the first query rather than after it: the page is there before the chart's code is.
const chartCode = import("../chart/chart");

interface Props {
  panel: Panel;
  /** Counts runs by hand, so that running the same query again asks again. */
  run: number;
  /** Begins the axis where the data begin: a server that has just started has little to show of its range. */
  fit: boolean;
  onZoom(startMs: number, endMs: number): void;
  onZoomOut(): void;
}

interface Drawing {
  readonly labels: readonly Labels[];
  readonly aligned: Aligned;
  readonly unit: Unit;
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly ms: number;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}

/** A fitted axis is no shorter than this: a single point needs some room. */
const FIT_MS_MIN = 60_000;

async function load(panel: Panel, fit: boolean, signal: AbortSignal): Promise<Drawing> {
  const endMs = panel.endMs ?? Date.now();
  let startMs = endMs - panel.rangeMs;
  const step = stepMs(panel.resolution, panel.rangeMs);
  const answer = await ask(
    "query_range",
    {
      query: panel.expr,
      start: String(startMs / 1_000),
      end: String(endMs / 1_000),
      step: String(step / 1_000),
    },
    signal,
  );
  const data = decodeQueryData(answer.data);
  const series = data.type === "matrix" || data.type === "vector" ? data.series : [];
  const labels = series.map((one) => one.labels);
  const first = fit ? firstSampleMs(series) : null;
  if (first !== null)
    startMs = Math.min(first, startMs + Math.floor((panel.rangeMs - FIT_MS_MIN) / step) * step);
  return {
    labels,
    aligned: align(series, startMs, endMs, step),
    unit: unitOfNames(labels.map((one) => one.__name__ ?? "")),
    startMs,
    endMs,
    stepMs: step,
    ms: answer.ms,
    warnings: answer.warnings,
    infos: answer.infos,
  };
}

export function GraphTab({ panel, run, fit, onZoom, onZoomOut }: Props) {
  const follows = panel.endMs === null ? tick.value : 0;
  const asks = [
    panel.expr,
    panel.endMs,
    panel.rangeMs,
    stepMs(panel.resolution, panel.rangeMs),
    run,
    fit,
    follows,
  ];
  const { data, error, loading } = useRequest(panel.expr === "" ? null : JSON.stringify(asks), (signal) =>
    load(panel, fit, signal),
  );
  const parts = data
    ? [
        plural(data.labels.length, "series", "series"),
        `${Math.round(data.ms)} ms`,
        `step ${formatDuration(data.stepMs)}`,
      ]
    : [];
  return (
    <>
      {(!error || loading) && <Stats parts={parts} loading={loading} />}
      {error && <QueryError error={error} expr={panel.expr} />}
      {data && !error && (
        <>
          <Annotations warnings={data.warnings} infos={data.infos} />
          <Omissions drawing={data} heatmap={panel.displayMode === "heatmap"} />
          <Plot drawing={data} panel={panel} loading={loading} onZoom={onZoom} onZoomOut={onZoomOut} />
        </>
      )}
      {!data && !error && (
        <div class="chart-room">{panel.expr === "" && <p class="muted">No expression yet.</p>}</div>
      )}
    </>
  );
}

/** What the lines leave out. */
function Omissions({ drawing, heatmap }: { drawing: Drawing; heatmap: boolean }) {
  const { histogramSeries, undrawable } = drawing.aligned;
  const texts = [
    heatmap && "This link asks for a heatmap, which this version draws as lines.",
    undrawable > 0 && `${plural(undrawable, "point is", "points are")} NaN or infinite and left out.`,
    histogramSeries > 0 &&
      `${count(histogramSeries)} series of native histograms: the Table tab shows their buckets.`,
  ].filter((text) => text !== false);
  if (texts.length === 0) return null;
  return <p class="notice notice-info">{texts.join(" ")}</p>;
}

function Plot({
  drawing,
  panel,
  loading,
  onZoom,
  onZoomOut,
}: Omit<Props, "run" | "fit"> & { drawing: Drawing; loading: boolean }) {
  const { aligned, endMs, labels, startMs, unit } = drawing;
  // Kept by name, so that a refresh which brings a new series hides none and shows none by accident.
  const [hiddenNames, setHiddenNames] = useState<ReadonlySet<string>>(new Set());
  const [pointed, setPointed] = useState<number | null>(null);
  const [said, setSaid] = useState("");
  const names = useMemo(() => labels.map(seriesText), [labels]);
  const shown = useMemo(() => names.map((name) => !hiddenNames.has(name)), [names, hiddenNames]);
  const root = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const events = useRef({ onZoom, onZoomOut, names });
  events.current = { onZoom, onZoomOut, names };

  const stacked = panel.displayMode === "stacked";
  const dark = isDark.value;
  const shownZone = zone.value;
  const spec = useMemo<ChartSpec>(
    () => ({
      times: aligned.times,
      columns: aligned.columns,
      labels,
      shown,
      stacked,
      yAxisMin: panel.yAxisMin,
      unit,
      zone: shownZone,
      dark,
      startMs,
      endMs,
    }),
    [aligned, labels, shown, stacked, panel.yAxisMin, unit, shownZone, dark, startMs, endMs],
  );

  const latest = useRef(spec);
  latest.current = spec;
  useEffect(() => {
    let gone = false;
    void chartCode.then(({ Chart }) => {
      if (gone || !root.current) return;
      chart.current = new Chart(root.current, latest.current, {
        onZoom: (start, end) => events.current.onZoom(start, end),
        onZoomOut: () => events.current.onZoomOut(),
        onPoint: setPointed,
        onSay: setSaid,
      });
    });
    return () => {
      gone = true;
      chart.current?.destroy();
      chart.current = null;
    };
  }, []);
  useEffect(() => chart.current?.update(spec), [spec]);

  return (
    <div class="plot" data-loading={loading}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys walk through the points. */}
      <div ref={root} class="chart" role="img" tabIndex={0} aria-label={summary(drawing, stacked)} />
      <p class="visually-hidden" aria-live="polite">
        {said !== "" && pointed !== null ? `${names[pointed]}: ${said}` : ""}
      </p>
      {labels.length === 0 ? (
        <p class="muted">The query has no result in this range.</p>
      ) : (
        <Legend
          labels={labels}
          columns={aligned.columns}
          shown={shown}
          unit={unit}
          pointed={pointed}
          onShown={(next) => setHiddenNames(new Set(names.filter((_, index) => !next[index])))}
          onHover={(series) => chart.current?.highlight(series)}
        />
      )}
    </div>
  );
}

function summary({ labels, startMs, endMs }: Drawing, stacked: boolean): string {
  const kind = stacked ? "Stacked areas" : "Lines";
  const range = formatDuration(endMs - startMs);
  return `${kind} of ${plural(labels.length, "series", "series")} over ${range}. Arrow keys walk through the points; the Table tab has the values.`;
}
