// Query panels in the URL, in the parameters of Prometheus's `/query` and `/graph` pages, old and new.
//
// Alerts, runbooks and dashboards link with these, so they are an interface: everything that any
// Prometheus since 2.0 wrote is read, and what is written can be opened in Prometheus 3. A parameter that
// cannot be read leaves its default; a link never fails as a whole.

import { formatDuration, parseDuration } from "../format/duration";
import { formatTime, parseTime } from "../format/time";
import { DEFAULT_PANEL, type Density, type Panel, type Resolution, type Tab } from "./panel";

/** Each panel sends a query as the page opens; a link must not be able to send thousands. */
export const PANELS_MAX = 50;

/** The panels of a query string, with or without its "?". The first missing `g{i}.expr` ends the list. */
export function decodePanels(query: string): Panel[] {
  const params = new URLSearchParams(query);
  const panels: Panel[] = [];
  while (panels.length < PANELS_MAX && params.has(`g${panels.length}.expr`)) {
    const prefix = `g${panels.length}.`;
    panels.push(decodePanel((name) => params.get(prefix + name)));
  }
  return panels;
}

type Param = (name: string) => string | null;

function decodePanel(param: Param): Panel {
  // One time serves both tabs. Old pages kept two; the table's wins, as in Prometheus 3.
  const endMs = parseTime(param("moment_input") ?? "", "utc") ?? parseTime(param("end_input") ?? "", "utc");
  return {
    expr: param("expr") ?? "",
    tab: decodeTab(param("tab")),
    rangeMs: parseDuration(param("range_input") ?? "") || DEFAULT_PANEL.rangeMs,
    endMs,
    resolution: decodeResolution(param),
    displayMode: decodeDisplayMode(param),
    yAxisMin: decodeNumber(param("y_axis_min")),
    showExemplars: param("show_exemplars") === "1",
    showTree: param("show_tree") === "1",
  };
}

function decodeTab(value: string | null): Tab {
  // Numbers are from before 3.0. "explain" is a table with more beside it.
  return value === "0" || value === "graph" ? "graph" : "table";
}

function decodeDisplayMode(param: Param): Panel["displayMode"] {
  const stacked = param("stacked");
  if (stacked !== null) return stacked === "1" ? "stacked" : "lines";
  const mode = param("display_mode");
  return mode === "stacked" || mode === "heatmap" ? mode : "lines";
}

function decodeResolution(param: Param): Resolution {
  const type = param("res_type");
  if (type === "fixed" || type === "custom") {
    const stepMs = decodeStep(param("res_step"));
    if (stepMs !== null) return { type, stepMs };
  }
  if (type === "auto") {
    const density = param("res_density");
    if (isDensity(density)) return { type: "auto", density };
  }
  // Before 2.53 a whole number of seconds, empty for automatic.
  const old = Number.parseInt(param("step_input") ?? "", 10);
  if (old > 0) return { type: "custom", stepMs: old * 1_000 };
  return DEFAULT_PANEL.resolution;
}

function isDensity(value: string | null): value is Density {
  return value === "low" || value === "medium" || value === "high";
}

/** Seconds as a number, as Prometheus writes them, or a duration as a person would. */
function decodeStep(value: string | null): number | null {
  const seconds = decodeNumber(value);
  const stepMs = seconds === null ? parseDuration(value ?? "") : Math.round(seconds * 1_000);
  return stepMs !== null && stepMs > 0 ? stepMs : null;
}

function decodeNumber(value: string | null): number | null {
  if (value === null || value.trim() === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

/** The query string, without "?", that `decodePanels` and Prometheus 3 read back. */
export function encodePanels(panels: readonly Panel[]): string {
  const params = new URLSearchParams();
  panels.forEach((panel, index) => {
    for (const [name, value] of encodePanel(panel)) params.append(`g${index}.${name}`, value);
  });
  return params.toString();
}

function encodePanel(panel: Panel): [name: string, value: string][] {
  const pairs: [string, string][] = [
    ["expr", panel.expr],
    ["show_tree", panel.showTree ? "1" : "0"],
    ["tab", panel.tab],
  ];
  if (panel.endMs !== null) {
    const time = formatTime(panel.endMs, "utc");
    pairs.push(["end_input", time], ["moment_input", time]);
  }
  pairs.push(["range_input", formatDuration(panel.rangeMs)], ["res_type", panel.resolution.type]);
  pairs.push(
    panel.resolution.type === "auto"
      ? ["res_density", panel.resolution.density]
      : ["res_step", String(panel.resolution.stepMs / 1_000)],
    ["display_mode", panel.displayMode],
  );
  if (panel.yAxisMin !== null) pairs.push(["y_axis_min", String(panel.yAxisMin)]);
  pairs.push(["show_exemplars", panel.showExemplars ? "1" : "0"]);
  return pairs;
}
