// The small pages about the server itself: how it runs, what it stores, how it was started and configured.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ask, useRequest } from "../api/client";
import { LOOKBACK } from "../base";
import { Icon } from "../controls/icons";
import { count, shortNumber, type Unit } from "../format/number";
import { formatTime } from "../format/time";
import { tick } from "../refresh";
import { zone } from "../settings";

interface PageProps<T> {
  title: string;
  /** Below `/api/v1/status/`. */
  path: string;
  params?: Record<string, string>;
  children(data: T): ComponentChildren;
}

function StatusPage<T>({ title, path, params = {}, children }: PageProps<T>) {
  const key = JSON.stringify([path, params, tick.value]);
  const { data, error } = useRequest(
    key,
    async (signal) => (await ask<T>(`status/${path}`, params, signal)).data,
  );
  return (
    <div class="page page-narrow">
      <h1>{title}</h1>
      {error && (
        <p class="notice notice-error" role="alert">
          <strong>This could not be read.</strong> {error.message}
        </p>
      )}
      {data && children(data)}
    </div>
  );
}

function Facts({ rows }: { rows: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <table class="facts">
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** "reloadConfigSuccess" as words; names in capitals (GOGC) stay. */
function words(name: string): string {
  if (/^[A-Z_]+$/.test(name)) return name;
  const spaced = name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

function fact(value: unknown): string {
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) {
    const time = Date.parse(value);
    return time > 0 ? formatTime(time - (time % 1_000), zone.value) : "never";
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return Math.abs(value) > 2 ** 53 ? "no limit" : count(value);
  return value === "" || value == null ? "–" : String(value);
}

export function RuntimePage() {
  return (
    <>
      <StatusPage<Record<string, unknown>> title="Runtime & build" path="runtimeinfo">
        {(info) => (
          <Facts
            rows={[
              ...Object.entries(info).map(([name, value]) => [words(name), fact(value)] as const),
              ["Lookback", LOOKBACK],
            ]}
          />
        )}
      </StatusPage>
      <BuildInfo />
    </>
  );
}

function BuildInfo() {
  const { data } = useRequest(
    "buildinfo",
    async (signal) => (await ask<Record<string, unknown>>("status/buildinfo", {}, signal)).data,
  );
  if (!data) return null;
  return (
    <section class="page page-narrow page-next">
      <h2>Build</h2>
      <Facts rows={Object.entries(data).map(([name, value]) => [words(name), fact(value)] as const)} />
    </section>
  );
}

export function FlagsPage() {
  const [search, setSearch] = useState("");
  return (
    <StatusPage<Record<string, string>> title="Flags" path="flags">
      {(flags) => {
        const wanted = search.toLowerCase();
        const rows = Object.entries(flags)
          .filter(([name, value]) => `--${name} ${value}`.toLowerCase().includes(wanted))
          .sort(([a], [b]) => (a < b ? -1 : 1));
        return (
          <>
            <label class="search-field">
              <Icon name="search" />
              <span class="visually-hidden">Search the flags</span>
              <input
                class="input"
                type="search"
                placeholder="Search"
                value={search}
                onInput={(event) => setSearch(event.currentTarget.value)}
              />
            </label>
            <Facts rows={rows.map(([name, value]) => [`--${name}`, value === "" ? '""' : value] as const)} />
          </>
        );
      }}
    </StatusPage>
  );
}

export function ConfigPage() {
  const [copied, setCopied] = useState(false);
  return (
    <StatusPage<{ yaml: string }> title="Configuration" path="config">
      {({ yaml }) => (
        <div class="config">
          <button
            type="button"
            class="button"
            onClick={() => navigator.clipboard?.writeText(yaml).then(() => setCopied(true))}
          >
            <Icon name="copy" />
            {copied ? "Copied" : "Copy"}
          </button>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keys must be able to reach it. */}
          <pre tabIndex={0}>
            <code>{yaml}</code>
          </pre>
        </div>
      )}
    </StatusPage>
  );
}

interface Count {
  readonly name: string;
  readonly value: number;
}

interface Storage {
  readonly headStats: {
    numSeries: number;
    numLabelPairs?: number;
    chunkCount: number;
    minTime: number;
    maxTime: number;
  };
  readonly seriesCountByMetricName?: readonly Count[];
  readonly labelValueCountByLabelName?: readonly Count[];
  readonly memoryInBytesByLabelName?: readonly Count[];
  readonly seriesCountByLabelValuePair?: readonly Count[];
}

export function StoragePage() {
  const [limit, setLimit] = useState(10);
  return (
    <StatusPage<Storage> title="Storage" path="tsdb" params={{ limit: String(limit) }}>
      {(storage) => {
        const head = storage.headStats;
        // An empty head has the extremes of its number type.
        const time = (ms: number) =>
          Math.abs(ms) < 8.64e15 ? formatTime(ms - (ms % 1_000), zone.value) : "–";
        return (
          <>
            <Facts
              rows={[
                ["Series in the head", count(head.numSeries)],
                ["Label pairs", head.numLabelPairs == null ? "–" : count(head.numLabelPairs)],
                ["Chunks", count(head.chunkCount)],
                ["Oldest sample in the head", time(head.minTime)],
                ["Newest sample in the head", time(head.maxTime)],
              ]}
            />
            <div class="page-bar">
              <h2>Largest contributors</h2>
              <select
                class="input"
                aria-label="Rows in each table"
                value={String(limit)}
                onChange={(event) => setLimit(Number(event.currentTarget.value))}
              >
                {[10, 50, 200].map((rows) => (
                  <option key={rows} value={String(rows)}>
                    top {rows}
                  </option>
                ))}
              </select>
            </div>
            <div class="tops">
              <Top title="Series by metric name" rows={storage.seriesCountByMetricName} />
              <Top title="Series by label pair" rows={storage.seriesCountByLabelValuePair} />
              <Top title="Values by label name" rows={storage.labelValueCountByLabelName} />
              <Top title="Memory by label name" rows={storage.memoryInBytesByLabelName} unit="bytes" />
            </div>
          </>
        );
      }}
    </StatusPage>
  );
}

function Top({
  title,
  rows = [],
  unit = "none",
}: {
  title: string;
  rows?: readonly Count[] | undefined;
  unit?: Unit;
}) {
  const most = Math.max(1, ...rows.map((row) => row.value));
  return (
    <table class="top">
      <caption>{title}</caption>
      <tbody>
        {rows.map((row) => (
          <tr key={row.name}>
            <th scope="row">
              <span class="top-bar" style={{ "--share": row.value / most }} />
              {row.name}
            </th>
            <td>{unit === "none" ? count(row.value) : shortNumber(row.value, unit)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
