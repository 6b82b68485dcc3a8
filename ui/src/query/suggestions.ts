// What an empty query page shows: the best chart that this server has data for already.
//
// A server that has just started has one scrape, then two; a rate needs two. So the page begins with a
// gauge, and goes over to CPU use as soon as that has points.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask } from "../api/client";
import { decodeQueryData } from "../api/values";
import { DEFAULT_PANEL, type Panel } from "./panel";

interface Suggestion {
  readonly title: string;
  /** Offered when this metric exists. */
  readonly metric: string;
  readonly expr: string;
  readonly stacked?: boolean;
}

/** Best first. */
export const SUGGESTIONS: readonly Suggestion[] = [
  {
    title: "CPU use by mode",
    metric: "node_cpu_seconds_total",
    expr: 'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))',
    stacked: true,
  },
  { title: "CPU busy (Telegraf)", metric: "cpu_usage_idle", expr: '100 - cpu_usage_idle{cpu="cpu-total"}' },
  { title: "Load", metric: "node_load1", expr: "node_load1" },
  {
    title: "Memory available",
    metric: "node_memory_MemAvailable_bytes",
    expr: "node_memory_MemAvailable_bytes",
  },
  {
    title: "Network received",
    metric: "node_network_receive_bytes_total",
    expr: 'rate(node_network_receive_bytes_total{device!="lo"}[5m])',
  },
  { title: "Scrape durations", metric: "scrape_duration_seconds", expr: "scrape_duration_seconds" },
  { title: "Targets up", metric: "up", expr: "sum by (job) (up)" },
];

export interface Found {
  /** The one that is drawn; null while there are no data at all. */
  readonly best: Suggestion | null;
  readonly all: readonly Suggestion[];
}

export const found = signal<Found>({ best: null, all: [] });

/** The first suggestion with data, given which metrics exist and which expressions have answers. */
export async function choose(
  names: ReadonlySet<string>,
  hasData: (expr: string) => Promise<boolean>,
): Promise<Found> {
  const all = SUGGESTIONS.filter(({ metric }) => names.has(metric));
  for (const best of all) {
    if (await hasData(best.expr)) return { best, all };
  }
  return { best: null, all };
}

async function look(signal: AbortSignal): Promise<Found> {
  const metrics = SUGGESTIONS.map(({ metric }) => metric).join("|");
  const { data } = await ask("query", { query: `count by (__name__) ({__name__=~"${metrics}"})` }, signal);
  const names = decodeQueryData(data);
  if (names.type !== "vector") return found.peek();
  return choose(new Set(names.series.map(({ labels }) => labels.__name__ ?? "")), async (expr) => {
    const answer = decodeQueryData((await ask("query", { query: expr }, signal)).data);
    return answer.type === "vector" && answer.series.length > 0;
  });
}

const LOOK_MS = 2_000;
/** A server without host metrics never has the best one; after this long what there is will do. */
const LOOKS_MAX = 60;

/** Looks for something to suggest while `wanted`, until the best has data. */
export function useSuggestions(wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return;
    const controller = new AbortController();
    let timer = 0;
    let looks = 0;
    const round = async () => {
      try {
        const next = document.hidden ? found.peek() : await look(controller.signal);
        if (controller.signal.aborted) return;
        if (next.best !== found.peek().best || next.all.length !== found.peek().all.length)
          found.value = next;
      } catch {
        // Not ready yet, or gone: the shell says so, and the next round may fare better.
      }
      const settled =
        found.peek().best !== null && (found.peek().best === SUGGESTIONS[0] || ++looks >= LOOKS_MAX);
      if (!controller.signal.aborted && !settled) timer = window.setTimeout(round, LOOK_MS);
    };
    void round();
    return () => {
      controller.abort();
      window.clearTimeout(timer);
    };
  }, [wanted]);
}

export function suggestedPanel(suggestion: Suggestion | null): Panel {
  return {
    ...DEFAULT_PANEL,
    expr: suggestion?.expr ?? "",
    tab: "graph",
    rangeMs: 15 * 60_000,
    displayMode: suggestion?.stacked ? "stacked" : "lines",
  };
}
