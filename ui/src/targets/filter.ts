// Which targets are shown: the filters, as parameters of the URL (the names are Prometheus's), and applied.

export type Health = "up" | "down" | "unknown";

/** A target as `/api/v1/targets` gives it. */
export interface Target {
  readonly discoveredLabels: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly scrapePool: string;
  readonly scrapeUrl: string;
  readonly globalUrl: string;
  readonly lastError: string;
  readonly lastScrape: string;
  /** Seconds. */
  readonly lastScrapeDuration: number;
  readonly health: Health;
  readonly scrapeInterval: string;
  readonly scrapeTimeout: string;
}

export interface Filter {
  readonly pool: string | null;
  /** Empty is any. */
  readonly health: readonly Health[];
  readonly search: string;
  /** Pools that are folded. */
  readonly collapsed: readonly string[];
}

export const HEALTHS: readonly Health[] = ["up", "down", "unknown"];

export function decodeFilter(query: string): Filter {
  const params = new URLSearchParams(query);
  // Lists were written with commas by some versions.
  const health = params.getAll("health").flatMap((value) => value.toLowerCase().split(","));
  return {
    pool: params.get("pool") || params.get("scrapePool") || null,
    health: HEALTHS.filter((one) => health.includes(one)),
    search: params.get("search") ?? "",
    collapsed: params.getAll("collapsed"),
  };
}

/** `query` with this filter in place of its own; other parameters stay. */
export function encodeFilter(filter: Filter, query: string): string {
  const params = new URLSearchParams(query);
  for (const name of ["pool", "scrapePool", "health", "search", "collapsed"]) params.delete(name);
  if (filter.pool !== null) params.set("pool", filter.pool);
  for (const health of filter.health) params.append("health", health);
  if (filter.search !== "") params.set("search", filter.search);
  for (const pool of filter.collapsed) params.append("collapsed", pool);
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

export interface Pool {
  readonly name: string;
  /** All of the pool, whatever the filter. */
  readonly total: number;
  readonly up: number;
  /** What the filter leaves. */
  readonly targets: readonly Target[];
}

/** Targets by pool, pools in the order of the alphabet; those without a match only while nothing is filtered. */
export function poolsOf(targets: readonly Target[], filter: Filter): Pool[] {
  const words = filter.search
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  const pools = new Map<string, { total: number; up: number; targets: Target[] }>();
  for (const target of targets) {
    if (filter.pool !== null && target.scrapePool !== filter.pool) continue;
    const pool = pools.get(target.scrapePool) ?? { total: 0, up: 0, targets: [] };
    pools.set(target.scrapePool, pool);
    pool.total++;
    if (target.health === "up") pool.up++;
    if (filter.health.length > 0 && !filter.health.includes(target.health)) continue;
    if (words.length > 0 && !matches(target, words)) continue;
    pool.targets.push(target);
  }
  const filtered = filter.health.length > 0 || words.length > 0;
  return [...pools]
    .map(([name, pool]) => ({ name, ...pool }))
    .filter((pool) => !filtered || pool.targets.length > 0)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Every word somewhere in the address, in a label (`job=node`, `job="node"`), or in the error. */
function matches(target: Target, words: readonly string[]): boolean {
  const labels = Object.entries(target.labels).map(([name, value]) => `${name}=${value} ${name}="${value}"`);
  const text = [target.scrapeUrl, target.lastError, ...labels].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}
