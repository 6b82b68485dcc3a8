import { expect, test } from "vitest";
import { DEFAULT_PANEL, type Panel, stepMs } from "./panel";
import { decodePanels, encodePanels, PANELS_MAX } from "./url";

const panel = (changes: Partial<Panel>): Panel => ({ ...DEFAULT_PANEL, ...changes });
const NOON = Date.UTC(2026, 10, 24, 12);

test.each<[why: string, query: string, panels: Panel[]]>([
  ["nothing", "", []],
  ["no panel at all", "?foo=bar", []],
  ["only a later panel", "?g1.expr=up", []],
  ["an empty expression is a panel", "?g0.expr=", [panel({})]],

  // What alerts carry as their generator URL.
  ["generatorURL", "?g0.expr=up+%3D%3D+0&g0.tab=1", [panel({ expr: "up == 0", tab: "table" })]],
  ["plus and percent", "?g0.expr=a%2Bb%20%2B+c", [panel({ expr: "a+b + c" })]],
  ["line breaks", "?g0.expr=sum(%0A++up%0A)", [panel({ expr: "sum(\n  up\n)" })]],
  ["UTF-8", '?g0.expr={"größe"}', [panel({ expr: '{"größe"}' })]],

  // Prometheus 1 and 2.
  [
    "2.x graph",
    "?g0.expr=up&g0.tab=0&g0.range_input=2h&g0.stacked=1",
    [panel({ expr: "up", tab: "graph", rangeMs: 7_200_000, displayMode: "stacked" })],
  ],
  ["2.x not stacked", "?g0.expr=up&g0.stacked=0", [panel({ expr: "up" })]],
  [
    "2.x end time to the minute",
    "?g0.expr=up&g0.end_input=2026-11-24%2012%3A00",
    [panel({ expr: "up", endMs: NOON })],
  ],
  [
    "2.x step",
    "?g0.expr=up&g0.step_input=30",
    [panel({ expr: "up", resolution: { type: "custom", stepMs: 30_000 } })],
  ],
  ["2.x no step", "?g0.expr=up&g0.step_input=", [panel({ expr: "up" })]],
  ["2.x step of nothing", "?g0.expr=up&g0.step_input=0", [panel({ expr: "up" })]],
  [
    "moment of the table",
    "?g0.expr=up&g0.moment_input=2026-11-24+12:00:00",
    [panel({ expr: "up", endMs: NOON })],
  ],
  [
    "moment wins over end",
    "?g0.expr=up&g0.end_input=2020-01-01+00:00:00&g0.moment_input=2026-11-24+12:00:00",
    [panel({ expr: "up", endMs: NOON })],
  ],
  [
    "an unreadable moment leaves the end",
    "?g0.expr=up&g0.end_input=2026-11-24+12:00:00&g0.moment_input=later",
    [panel({ expr: "up", endMs: NOON })],
  ],
  [
    "stacked wins over display_mode",
    "?g0.expr=up&g0.stacked=0&g0.display_mode=stacked",
    [panel({ expr: "up" })],
  ],
  [
    "res_* wins over step_input",
    "?g0.expr=up&g0.step_input=30&g0.res_type=fixed&g0.res_step=60",
    [panel({ expr: "up", resolution: { type: "fixed", stepMs: 60_000 } })],
  ],

  // Prometheus 3.
  [
    "everything",
    "?g0.expr=up&g0.show_tree=1&g0.tab=graph&g0.end_input=2026-11-24+12%3A00%3A00&g0.moment_input=2026-11-24+12%3A00%3A00&g0.range_input=1d&g0.res_type=auto&g0.res_density=high&g0.display_mode=stacked&g0.y_axis_min=0&g0.show_exemplars=1",
    [
      panel({
        expr: "up",
        showTree: true,
        tab: "graph",
        endMs: NOON,
        rangeMs: 86_400_000,
        resolution: { type: "auto", density: "high" },
        displayMode: "stacked",
        yAxisMin: 0,
        showExemplars: true,
      }),
    ],
  ],
  ["explain shows the table", "?g0.expr=up&g0.tab=explain", [panel({ expr: "up" })]],
  ["heatmap is kept", "?g0.expr=up&g0.display_mode=heatmap", [panel({ expr: "up", displayMode: "heatmap" })]],
  [
    "low density",
    "?g0.expr=up&g0.res_type=auto&g0.res_density=low",
    [panel({ expr: "up", resolution: { type: "auto", density: "low" } })],
  ],
  [
    "fractional step",
    "?g0.expr=up&g0.res_type=custom&g0.res_step=0.5",
    [panel({ expr: "up", resolution: { type: "custom", stepMs: 500 } })],
  ],
  [
    "step as a duration",
    "?g0.expr=up&g0.res_type=custom&g0.res_step=1m",
    [panel({ expr: "up", resolution: { type: "custom", stepMs: 60_000 } })],
  ],
  ["negative axis", "?g0.expr=up&g0.y_axis_min=-1.5", [panel({ expr: "up", yAxisMin: -1.5 })]],
  ["empty axis", "?g0.expr=up&g0.y_axis_min=", [panel({ expr: "up" })]],
  [
    "ISO time with offset",
    "?g0.expr=up&g0.end_input=2026-11-24T14:00:00%2B02:00",
    [panel({ expr: "up", endMs: NOON })],
  ],

  // What nobody should write, and somebody will.
  ["unknown tab", "?g0.expr=up&g0.tab=7", [panel({ expr: "up" })]],
  ["unknown mode", "?g0.expr=up&g0.display_mode=pie", [panel({ expr: "up" })]],
  ["unknown resolution", "?g0.expr=up&g0.res_type=best&g0.res_step=5", [panel({ expr: "up" })]],
  ["unknown density", "?g0.expr=up&g0.res_type=auto&g0.res_density=max", [panel({ expr: "up" })]],
  ["fixed without step", "?g0.expr=up&g0.res_type=fixed", [panel({ expr: "up" })]],
  ["negative step", "?g0.expr=up&g0.res_type=fixed&g0.res_step=-5", [panel({ expr: "up" })]],
  ["infinite step", "?g0.expr=up&g0.res_type=custom&g0.res_step=Infinity", [panel({ expr: "up" })]],
  ["step not a number", "?g0.expr=up&g0.res_type=custom&g0.res_step=fast", [panel({ expr: "up" })]],
  ["broken range", "?g0.expr=up&g0.range_input=ever", [panel({ expr: "up" })]],
  ["zero range", "?g0.expr=up&g0.range_input=0s", [panel({ expr: "up" })]],
  ["broken time", "?g0.expr=up&g0.end_input=Invalid+date", [panel({ expr: "up" })]],
  ["broken axis", "?g0.expr=up&g0.y_axis_min=NaN", [panel({ expr: "up" })]],
  ["broken percent", "?g0.expr=%E0%A4%A", [panel({ expr: "\ufffd%A" })]],
  ["the first of two wins", "?g0.expr=a&g0.expr=b", [panel({ expr: "a" })]],
  ["a gap ends the list", "?g0.expr=a&g2.expr=c", [panel({ expr: "a" })]],
  [
    "order does not matter",
    "?g1.expr=b&g0.tab=0&g0.expr=a",
    [panel({ expr: "a", tab: "graph" }), panel({ expr: "b" })],
  ],
])("decode: %s", (_why, query, panels) => {
  expect(decodePanels(query)).toEqual(panels);
});

test("a question mark is optional", () => {
  expect(decodePanels("g0.expr=up")).toEqual(decodePanels("?g0.expr=up"));
});

test("a link cannot open any number of panels", () => {
  const query = Array.from({ length: 500 }, (_, i) => `g${i}.expr=up`).join("&");
  expect(decodePanels(query)).toHaveLength(PANELS_MAX);
});

test("encode writes what Prometheus 3 writes", () => {
  expect(encodePanels([panel({ expr: "sum(up) + 1", tab: "graph", endMs: NOON, yAxisMin: 0 })])).toBe(
    "g0.expr=sum%28up%29+%2B+1&g0.show_tree=0&g0.tab=graph&g0.end_input=2026-11-24+12%3A00%3A00&g0.moment_input=2026-11-24+12%3A00%3A00&g0.range_input=1h&g0.res_type=auto&g0.res_density=medium&g0.display_mode=lines&g0.y_axis_min=0&g0.show_exemplars=0",
  );
  expect(encodePanels([])).toBe("");
});

test("what is encoded decodes to itself, for every combination", () => {
  const resolutions: Panel["resolution"][] = [
    { type: "auto", density: "low" },
    { type: "auto", density: "medium" },
    { type: "auto", density: "high" },
    { type: "fixed", stepMs: 15_000 },
    { type: "custom", stepMs: 1_500 },
  ];
  const panels: Panel[] = [];
  for (const tab of ["table", "graph"] as const) {
    for (const displayMode of ["lines", "stacked", "heatmap"] as const) {
      for (const resolution of resolutions) {
        for (const endMs of [null, NOON, NOON + 123]) {
          for (const yAxisMin of [null, 0, -2.5]) {
            panels.push(
              panel({
                expr: `x{a="b&c=d#e%20+ö", n="${panels.length}"}`,
                tab,
                displayMode,
                resolution,
                endMs,
                yAxisMin,
                rangeMs: 60_000 * (1 + panels.length),
                showExemplars: panels.length % 2 === 0,
                showTree: panels.length % 3 === 0,
              }),
            );
          }
        }
      }
    }
  }
  for (let i = 0; i < panels.length; i += PANELS_MAX) {
    const page = panels.slice(i, i + PANELS_MAX);
    expect(decodePanels(encodePanels(page))).toEqual(page);
  }
});

test.each([
  ["low", 3_600_000, 36_000],
  ["medium", 3_600_000, 14_000],
  ["high", 3_600_000, 4_000],
  ["high", 60_000, 1_000],
  ["medium", 86_400_000, 345_000],
] as const)("automatic step: %s over %d ms is %d ms", (density, range, step) => {
  expect(stepMs({ type: "auto", density }, range)).toBe(step);
});
