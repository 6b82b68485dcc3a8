// What needs a server in a certain state: the mock is put into it.

import { MockState } from "../mock/api.mjs";
import { serve } from "../tools/serve.mjs";
import { assert, chartDrawn, equal, eventually } from "./harness.mjs";

/** @typedef {import("./harness.mjs").Tools} Tools */
/** @typedef {{ name: string, options?: Omit<import("../tools/serve.mjs").Options, "state">, state?: Partial<MockState>, run: (tools: Tools, state: MockState) => Promise<void> }} MockCase */

/** Hides or shows the tab as far as the page can tell. @param {import("playwright-core").Page} page @param {boolean} hidden */
async function setHidden(page, hidden) {
  await page.evaluate((is) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => is });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

/** @type {MockCase[]} */
const cases = [
  {
    name: "a fresh server: waiting, then a gauge, then CPU use, each by itself",
    state: { metrics: [], rates: false },
    async run({ page, url }, state) {
      await page.goto(`${url}/query`);
      await page.locator('[data-suggestion="waiting"]').waitFor();
      state.metrics = ["up", "node_cpu_seconds_total", "node_load1"];
      await page.locator('[data-suggestion="node_load1"]').waitFor();
      await chartDrawn(page);
      state.rates = true;
      await page.locator('[data-suggestion="node_cpu_seconds_total"]').waitFor();
      await eventually(async () => (await page.locator(".legend li").count()) === 7, "one series a mode");
      await page.getByRole("button", { name: "Load", exact: true }).click();
      equal(
        new URL(page.url()).searchParams.get("g0.expr"),
        "node_load1",
        "a chosen suggestion is in the URL",
      );
    },
  },
  {
    name: "what is typed survives a suggestion that arrives meanwhile",
    state: { metrics: [], rates: false },
    async run({ page, url }, state) {
      await page.goto(`${url}/query`);
      await page.locator('[data-editor="codemirror"]').waitFor();
      await page.locator(".cm-content").click();
      await page.keyboard.insertText("1 + 1");
      state.metrics = ["up"];
      await page.locator('[data-suggestion="up"]').waitFor();
      equal((await page.locator(".cm-content").innerText()).trim(), "1 + 1", "the text");
    },
  },
  {
    name: "a starting server shows the progress of its replay, and the page goes on by itself",
    state: { readiness: "starting" },
    async run({ page, url, allowConsole }, state) {
      allowConsole(/status of 503/);
      await page.goto(`${url}/query?g0.expr=up&g0.tab=graph`);
      await page.getByText("segment 3 of 8").waitFor();
      state.replay = { min: 0, max: 8, current: 6 };
      await page.getByText("segment 6 of 8").waitFor();
      equal(
        await page.locator("progress").evaluate((bar) => /** @type {HTMLProgressElement} */ (bar).position),
        0.75,
        "progress",
      );
      state.readiness = "ready";
      await chartDrawn(page);
      equal(await page.locator(".notices .notice").count(), 0, "notices left");
    },
  },
  {
    name: "a stopping server, a failed reload and a wrong clock are told",
    state: {
      reloadConfigSuccess: false,
      skewMs: -90_000,
      complaints: ["Targets of job fleet are not read anew from fleet.json: no list"],
    },
    async run({ page, url, allowConsole }, state) {
      allowConsole(/status of 503/);
      await page.goto(`${url}/targets`);
      await page.getByText("The configuration was not taken.").waitFor();
      await page.getByText("not read anew from fleet.json: no list").waitFor();
      equal(await page.getByText("reload has failed").count(), 0, "what is said already is not said twice");
      await page.getByText(/1m (29|30|31)s behind/).waitFor();
      state.readiness = "stopping";
      await page.getByRole("button", { name: "Refresh" }).click();
      await page.getByText("The server is shutting down.").waitFor();
    },
  },
  {
    name: "warnings, infos and points that cannot be drawn are shown",
    async run({ page, url }) {
      await page.goto(
        `${url}/query?g0.expr=warned&g1.expr=rate(up%5B5m%5D)&g2.expr=odd&g2.tab=graph&g2.display_mode=heatmap&g3.expr=odd`,
      );
      await page.getByText("results truncated due to limit").waitFor();
      await page.getByText("metric might not be a counter").waitFor();
      await page.getByText(/points are NaN or infinite/).waitFor();
      await page.getByText(/asks for a heatmap/).waitFor();
      const values = page.locator(".panel").nth(3).locator(".result tbody .value");
      equal(
        await values.allInnerTexts(),
        ["NaN", "+Inf", "-Inf", "1"],
        "special values as the server writes them",
      );
    },
  },
  {
    name: "an error that is none of the expression's is shown whole, and the next run clears it",
    async run({ page, url, allowConsole }) {
      allowConsole(/status of 503/);
      await page.goto(`${url}/query?g0.expr=slow_failure`);
      await page.getByText("query timed out in expression evaluation").waitFor();
      await page.locator('[data-editor="codemirror"]').waitFor();
      await page.locator(".cm-content").click();
      await page.keyboard.press("ControlOrMeta+a");
      await page.keyboard.insertText("up");
      await page.keyboard.press("Enter");
      await page.locator(".result tbody tr").first().waitFor();
      equal(await page.getByRole("alert").count(), 0, "alerts left");
    },
  },
  {
    name: "ten thousand rows are capped, and more can be shown and sorted",
    async run({ page, url }) {
      await page.goto(`${url}/query?g0.expr=many(10000)`);
      await page.locator(".result tbody tr").first().waitFor();
      equal(await page.locator(".result tbody tr").count(), 200, "rows at first");
      await page.getByRole("button", { name: /^Show 1\D000 more/ }).click();
      equal(await page.locator(".result tbody tr").count(), 1_200, "rows after more");
      await page.getByRole("button", { name: "Value" }).click();
      await page.getByRole("button", { name: "Value" }).click();
      const top = Number(await page.locator(".result tbody .value").first().innerText());
      assert(top > 9_990, `the largest value comes first, not ${top}`);
    },
  },
  {
    name: "five hundred lines have a legend that scrolls instead of pushing",
    async run({ page, url }) {
      await page.goto(`${url}/query?g0.expr=many(500)&g0.tab=graph`);
      await chartDrawn(page);
      equal(await page.locator(".legend li").count(), 100, "entries at first");
      const height = await page.locator(".legend").evaluate((legend) => legend.clientHeight);
      assert(height < 260, `the legend is ${height} pixels high`);
      await page.getByRole("button", { name: "Show all 500 series" }).click();
      equal(await page.locator(".legend li").count(), 500, "all entries");
    },
  },
  {
    name: "five thousand targets: few are in the page, all can be reached",
    state: { targets: 5_000 },
    async run({ page, url }) {
      await page.goto(`${url}/targets`);
      await page.locator(".target").first().waitFor();
      const rows = await page.locator(".target").count();
      assert(rows < 120, `${rows} rows in the page`);
      // The list grows and shrinks as estimates become measures, so go on until the end stays the end.
      await eventually(async () => {
        await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
        return (await page.getByText("host-4999.example").count()) > 0;
      }, "the last target is shown");
      await page.evaluate(() => window.scrollTo(0, 0));
      await page.getByLabel("Search in addresses").fill("host-4242");
      await page.getByText("host-4242.example").first().waitFor();
      await page.getByText(/^1 of 5\D000 targets in 1 pool/).waitFor();
    },
  },
  {
    name: "refreshing by itself rests while the tab is hidden",
    async run({ page, url }, state) {
      await page.clock.install();
      await page.goto(`${url}/targets?refresh=5s`);
      await page.locator(".target").first().waitFor();
      const asked = () =>
        state.requests.filter((request) => request.startsWith("GET /api/v1/targets")).length;
      equal(asked(), 1, "on opening");
      await page.clock.runFor(5_100);
      await eventually(() => asked() === 2, "after five seconds");
      await setHidden(page, true);
      await page.clock.runFor(60_000);
      equal(asked(), 2, "while hidden");
      await setHidden(page, false);
      await eventually(() => asked() === 3, "at once when seen again");
      await page.getByLabel("Refresh automatically").selectOption("0");
      equal(new URL(page.url()).search, "", "off is not in the URL");
      await page.clock.runFor(60_000);
      equal(asked(), 3, "when turned off");
    },
  },
  {
    name: "the page works under a route prefix",
    options: {
      prefix: "/some/prefix",
      title: "Prod <&> metrics".replace(/[<&>]/g, (c) => `&#${c.charCodeAt(0)};`),
    },
    async run({ page, url }) {
      await page.goto(`${url}/graph?g0.expr=up&g0.tab=0`);
      await chartDrawn(page);
      equal(await page.title(), "Query · Prod <&> metrics", "title");
      await page.getByRole("link", { name: "Targets" }).click();
      await page.locator(".target").first().waitFor();
      equal(new URL(page.url()).pathname, "/some/prefix/targets", "the prefix stays");
      await page.reload();
      await page.locator(".target").first().waitFor();
    },
  },
  {
    name: "the page works behind a proxy that strips a path which the server does not know",
    options: { outside: "/outside" },
    async run({ page, url }) {
      await page.goto(`${url}/query?g0.expr=up&g0.tab=0`);
      await chartDrawn(page);
      await page.getByRole("link", { name: "Targets" }).click();
      await page.locator(".target").first().waitFor();
      equal(new URL(page.url()).pathname, "/outside/targets", "the path stays");
    },
  },
  {
    name: "shortcuts of one key can be turned off",
    async run({ page, url }) {
      await page.goto(`${url}/targets`);
      await page.locator(".target").first().waitFor();
      await page.keyboard.press("?");
      await page.getByLabel("Shortcuts of one key").uncheck();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await page.keyboard.press("?");
      equal(await page.getByRole("dialog").count(), 0, "dialogs");
    },
  },
  {
    name: "a link that asks for nonsense opens with defaults",
    async run({ page, url }) {
      await page.goto(
        `${url}/query?g0.expr=up&g0.tab=7&g0.range_input=ever&g0.end_input=Invalid+date&g0.res_type=best&refresh=1ms`,
      );
      await page.locator(".result tbody tr").first().waitFor();
      equal(await page.getByLabel("Refresh automatically").inputValue(), "0", "refresh");
    },
  },
];

/** @returns {import("./harness.mjs").Test[]} */
export function mockTests() {
  return cases.map(({ name, options, state, run }) => {
    const mock = Object.assign(new MockState(), state);
    /** @type {Awaited<ReturnType<typeof serve>> | undefined} */
    let server;
    return {
      name: `mock: ${name}`,
      url: async () => {
        server = await serve({ ...options, state: mock });
        return server.url;
      },
      run: (tools) => run(tools, mock),
      close: async () => server?.close(),
    };
  });
}
