// The targets page: what is scraped, and how that went.

import { useMemo, useState } from "preact/hooks";
import { ask, useRequest } from "../api/client";
import { Icon } from "../controls/icons";
import { RefreshControl } from "../controls/refresh-control";
import { Windowed } from "../controls/windowed";
import { coarseDuration, humanizeDuration } from "../format/duration";
import { count, plural } from "../format/number";
import { formatTime } from "../format/time";
import { tick } from "../refresh";
import { location, navigate } from "../router";
import { zone } from "../settings";
import {
  decodeFilter,
  encodeFilter,
  type Filter,
  HEALTHS,
  type Health,
  type Pool,
  poolsOf,
  type Target,
} from "./filter";

interface Targets {
  readonly activeTargets: readonly Target[];
  readonly droppedTargetCounts?: Readonly<Record<string, number>>;
}

type Row =
  | { readonly kind: "pool"; readonly pool: Pool }
  | { readonly kind: "target"; readonly target: Target; readonly key: string };

export function TargetsPage() {
  const search = location.value.search;
  const filter = useMemo(() => decodeFilter(search), [search]);
  const { data, error, loading } = useRequest(`targets ${tick.value}`, async (signal) => {
    const answer = await ask<Targets>("targets", { state: "active" }, signal);
    return { ...answer.data, at: Date.now() };
  });
  const targets = data?.activeTargets ?? [];
  const pools = useMemo(() => poolsOf(targets, filter), [targets, filter]);
  const rows = useMemo(() => rowsOf(pools, filter.collapsed), [pools, filter.collapsed]);
  const dropped = Object.values(data?.droppedTargetCounts ?? {}).reduce((sum, one) => sum + one, 0);
  const set = (changes: Partial<Filter>, how: "push" | "replace" = "push") =>
    navigate("/targets", encodeFilter({ ...filter, ...changes }, location.peek().search), how);
  const toggle = (pool: string) =>
    set({
      collapsed: filter.collapsed.includes(pool)
        ? filter.collapsed.filter((one) => one !== pool)
        : [...filter.collapsed, pool],
    });
  return (
    <div class="page" aria-busy={loading}>
      <div class="page-bar">
        <h1>Targets</h1>
        <Filters filter={filter} targets={targets} onChange={set} />
        <span class="grow" />
        <RefreshControl />
      </div>
      {error && (
        <p class="notice notice-error" role="alert">
          <strong>The targets could not be read.</strong> {error.message}
        </p>
      )}
      {data && (
        <p class="stats" aria-live="polite">
          {summary(pools, targets.length)}
          {dropped > 0 && ` · ${plural(dropped, "more was", "more were")} dropped by relabeling`}
        </p>
      )}
      {data && pools.length === 0 && (
        <p class="empty muted">
          {targets.length === 0
            ? "No targets are configured or discovered."
            : "No target matches the filters."}
        </p>
      )}
      <Windowed
        items={rows}
        keyOf={(row) => (row.kind === "pool" ? `pool ${row.pool.name}` : row.key)}
        estimate={(row) => (row.kind === "pool" ? 52 : row.target.lastError === "" ? 58 : 84)}
        render={(row) =>
          row.kind === "pool" ? (
            <PoolHead
              pool={row.pool}
              collapsed={filter.collapsed.includes(row.pool.name)}
              onToggle={() => toggle(row.pool.name)}
            />
          ) : (
            <TargetRow target={row.target} now={data?.at ?? Date.now()} />
          )
        }
      />
    </div>
  );
}

function rowsOf(pools: readonly Pool[], collapsed: readonly string[]): Row[] {
  const folded = new Set(collapsed);
  const seen = new Map<string, number>();
  return pools.flatMap((pool): Row[] => [
    { kind: "pool", pool },
    ...(folded.has(pool.name)
      ? []
      : pool.targets.map((target): Row => {
          // Two targets of a pool may have one address and differ in labels only.
          const address = `${pool.name} ${target.scrapeUrl}`;
          const nth = seen.get(address) ?? 0;
          seen.set(address, nth + 1);
          return { kind: "target", target, key: `${address} ${nth}` };
        })),
  ]);
}

function summary(pools: readonly Pool[], all: number): string {
  const shown = pools.flatMap((pool) => pool.targets);
  const down = shown.filter((target) => target.health === "down").length;
  const size =
    shown.length === all ? plural(all, "target") : `${count(shown.length)} of ${plural(all, "target")}`;
  return `${size} in ${plural(pools.length, "pool")} · ${down === 0 ? "none down" : `${count(down)} down`}`;
}

interface FiltersProps {
  filter: Filter;
  targets: readonly Target[];
  onChange(changes: Partial<Filter>, how?: "push" | "replace"): void;
}

function Filters({ filter, targets, onChange }: FiltersProps) {
  const names = useMemo(() => [...new Set(targets.map((target) => target.scrapePool))].sort(), [targets]);
  const byHealth = (health: Health) => targets.filter((target) => target.health === health).length;
  return (
    <search class="filters">
      <select
        class="input"
        aria-label="Scrape pool"
        value={filter.pool ?? ""}
        onChange={(event) => onChange({ pool: event.currentTarget.value || null })}
      >
        <option value="">All pools</option>
        {/* A pool from a link stays chosen, even if it is gone. */}
        {filter.pool !== null && !names.includes(filter.pool) && (
          <option value={filter.pool}>{filter.pool}</option>
        )}
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <fieldset class="segments" aria-label="Health">
        {HEALTHS.map((health) => (
          <button
            type="button"
            key={health}
            aria-pressed={filter.health.includes(health)}
            onClick={() =>
              onChange({
                health: filter.health.includes(health)
                  ? filter.health.filter((one) => one !== health)
                  : [...filter.health, health],
              })
            }
          >
            {health} {count(byHealth(health))}
          </button>
        ))}
      </fieldset>
      <label class="search-field">
        <Icon name="search" />
        <span class="visually-hidden">Search in addresses, labels and errors</span>
        <input
          class="input"
          type="search"
          placeholder="Address, label=value, error"
          value={filter.search}
          onInput={(event) => onChange({ search: event.currentTarget.value }, "replace")}
        />
      </label>
    </search>
  );
}

function PoolHead({ pool, collapsed, onToggle }: { pool: Pool; collapsed: boolean; onToggle(): void }) {
  const state = pool.up === pool.total ? "good" : pool.up === 0 ? "bad" : "mixed";
  return (
    <h2 class="pool">
      <button type="button" aria-expanded={!collapsed} onClick={onToggle}>
        <Icon name={collapsed ? "right" : "chevron"} />
        <span class="pool-name">{pool.name}</span>
        <span class={`pool-count pool-${state}`}>
          {count(pool.up)} of {count(pool.total)} up
        </span>
      </button>
    </h2>
  );
}

function TargetRow({ target, now }: { target: Target; now: number }) {
  const [open, setOpen] = useState(false);
  const scraped = Date.parse(target.lastScrape);
  // Go's zero time: not scraped yet.
  const never = !(scraped > 0);
  return (
    <div class={`target target-${target.health}`}>
      <div class="target-main">
        <span class={`badge badge-${target.health}`}>{target.health}</span>
        <div class="target-what">
          <a href={target.globalUrl || target.scrapeUrl} rel="noreferrer">
            {target.scrapeUrl}
          </a>
          <LabelChips labels={target.labels} />
        </div>
        <dl class="target-times">
          <div>
            <dt>Last scrape</dt>
            <dd title={never ? undefined : formatTime(scraped, zone.value)}>
              {never ? "never" : `${coarseDuration(now - scraped)} ago`}
            </dd>
          </div>
          <div>
            <dt>Took</dt>
            <dd>{never ? "–" : humanizeDuration(target.lastScrapeDuration * 1_000)}</dd>
          </div>
          <div>
            <dt>Every</dt>
            <dd title={`timeout ${target.scrapeTimeout}`}>{target.scrapeInterval}</dd>
          </div>
        </dl>
        <button
          type="button"
          class="button quiet icon-only"
          aria-expanded={open}
          aria-label={`Discovered labels of ${target.scrapeUrl}`}
          title="Labels before relabeling"
          onClick={() => setOpen(!open)}
        >
          <Icon name={open ? "chevron" : "more"} />
        </button>
      </div>
      {target.lastError !== "" && <p class="target-error">{target.lastError}</p>}
      {open && (
        <div class="target-discovered">
          <h3>Discovered labels</h3>
          <LabelChips labels={target.discoveredLabels} />
        </div>
      )}
    </div>
  );
}

function LabelChips({ labels }: { labels: Readonly<Record<string, string>> }) {
  return (
    <span class="labels">
      {Object.entries(labels).map(([name, value]) => (
        <span class="label" key={name}>
          <span class="series-label">{name}</span>="{value}"
        </span>
      ))}
    </span>
  );
}
