import { expect, test, vi } from "vitest";

vi.mock("../api/client", () => ({ ask: () => Promise.reject(new Error("not in this test")) }));
const { choose, SUGGESTIONS, suggestedPanel } = await import("./suggestions");

const cpu = SUGGESTIONS[0]?.expr ?? "";

test("nothing scraped yet: nothing to suggest", async () => {
  expect(await choose(new Set(), async () => true)).toEqual({ best: null, all: [] });
});

test("after one scrape a gauge, since a rate needs two", async () => {
  const names = new Set(["up", "node_cpu_seconds_total", "node_load1"]);
  expect((await choose(names, async (expr) => expr !== cpu)).best?.expr).toBe("node_load1");
});

test("with host metrics, CPU use", async () => {
  const names = new Set(["up", "node_cpu_seconds_total", "node_load1"]);
  const found = await choose(names, async () => true);
  expect(found.best?.expr).toBe(cpu);
  expect(found.all.map(({ metric }) => metric)).toEqual(["node_cpu_seconds_total", "node_load1", "up"]);
});

test("a suggestion is a graph", () => {
  expect(suggestedPanel(SUGGESTIONS[0] ?? null)).toMatchObject({
    tab: "graph",
    displayMode: "stacked",
    expr: cpu,
  });
  expect(suggestedPanel(null)).toMatchObject({ tab: "graph", expr: "" });
});
