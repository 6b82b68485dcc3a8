import { expect, test } from "vitest";
import { decodeFilter, encodeFilter, type Filter, type Health, poolsOf, type Target } from "./filter";

const NONE: Filter = { pool: null, health: [], search: "", collapsed: [] };

test.each<[string, Partial<Filter>]>([
  ["", {}],
  ["?pool=node", { pool: "node" }],
  ["?scrapePool=node", { pool: "node" }],
  ["?pool=", {}],
  ["?health=down", { health: ["down"] }],
  ["?health=unknown&health=down", { health: ["down", "unknown"] }],
  ["?health=up,DOWN", { health: ["up", "down"] }],
  ["?health=ill", {}],
  ["?search=a+b", { search: "a b" }],
  ["?collapsed=a&collapsed=b", { collapsed: ["a", "b"] }],
])("decodeFilter(%j)", (query, filter) => {
  expect(decodeFilter(query)).toEqual({ ...NONE, ...filter });
});

test("what is encoded decodes to itself and leaves other parameters", () => {
  const filter: Filter = { pool: "a b", health: ["up", "down"], search: 'job="x&y"', collapsed: ["c,d"] };
  const query = encodeFilter(filter, "?refresh=5s&pool=old&health=unknown");
  expect(decodeFilter(query)).toEqual(filter);
  expect(new URLSearchParams(query).get("refresh")).toBe("5s");
  expect(encodeFilter(NONE, "?pool=x")).toBe("");
});

const target = (pool: string, instance: string, health: Health, lastError = ""): Target => ({
  discoveredLabels: {},
  labels: { job: pool, instance },
  scrapePool: pool,
  scrapeUrl: `http://${instance}/metrics`,
  globalUrl: "",
  lastError,
  lastScrape: "",
  lastScrapeDuration: 0,
  health,
  scrapeInterval: "15s",
  scrapeTimeout: "10s",
});

const ALL = [
  target("web", "w1:80", "up"),
  target("node", "n1:9100", "up"),
  target("node", "n2:9100", "down", "connection refused"),
];

test.each<[string, Partial<Filter>, Record<string, string[]>]>([
  ["nothing", {}, { node: ["n1:9100", "n2:9100"], web: ["w1:80"] }],
  ["a pool", { pool: "web" }, { web: ["w1:80"] }],
  ["a pool that is gone", { pool: "gone" }, {}],
  ["health", { health: ["down"] }, { node: ["n2:9100"] }],
  ["an address", { search: "N1" }, { node: ["n1:9100"] }],
  ["a label", { search: "job=web" }, { web: ["w1:80"] }],
  ["a quoted label", { search: 'job="node" n2' }, { node: ["n2:9100"] }],
  ["an error", { search: "refused" }, { node: ["n2:9100"] }],
  ["words that no target has together", { search: "refused w1" }, {}],
])("filter by %s", (_what, filter, expected) => {
  const pools = poolsOf(ALL, { ...NONE, ...filter });
  expect(
    Object.fromEntries(pools.map((pool) => [pool.name, pool.targets.map((one) => one.labels.instance)])),
  ).toEqual(expected);
});

test("a pool counts all of its targets, whatever the filter", () => {
  expect(poolsOf(ALL, { ...NONE, health: ["down"] })[0]).toMatchObject({ name: "node", total: 2, up: 1 });
});
