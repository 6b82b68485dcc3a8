// What must hold with any server behind the page: the mock, Prometheus, Promontory. These use only metrics
// that every server which scrapes at least one target has: up and the scrape_* reports.

import { assert, axe, chartDrawn, equal, eventually } from "./harness.mjs";

/** @typedef {import("./harness.mjs").Tools} Tools */
/** @typedef {[name: string, run: (tools: Tools) => Promise<void>]} Case */

/** @param {import("playwright-core").Page} page */
const param = (page, /** @type {string} */ name) => new URL(page.url()).searchParams.get(name);

/** @param {import("playwright-core").Page} page */
const editorReady = (page) => page.locator('[data-editor="codemirror"]').first().waitFor();

/** @param {import("playwright-core").Page} page @param {string} expr */
async function typeQuery(page, expr) {
  await editorReady(page);
  const content = page.locator(".cm-content").first();
  await content.click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(expr);
}

const PAGES = [
  "/query?g0.expr=up&g0.tab=graph",
  "/query?g0.expr=up&g0.tab=1",
  "/query",
  "/targets",
  "/status",
  "/tsdb-status",
  "/flags",
  "/config",
];

/** @type {Case[]} */
export const serverTests = [
  [
    "an empty query page shows a chart within 15 s, and says that it is a suggestion",
    async ({ page, url }) => {
      const started = Date.now();
      await page.goto(`${url}/query`);
      await chartDrawn(page, 15_000);
      const took = Date.now() - started;
      assert(took < 15_000, `the first chart took ${took} ms`);
      assert(
        (await page.locator(".suggestion").innerText()).includes("Suggestion:"),
        "the suggestion is not labelled",
      );
      assert((await page.locator(".legend li").count()) > 0, "the legend is empty");
      equal(new URL(page.url()).search, "", "a suggestion is not written to the URL");
    },
  ],
  [
    "the start page and /graph lead to /query and keep their parameters",
    async ({ page, url }) => {
      await page.goto(`${url}/graph?g0.expr=up&g0.tab=0&g0.range_input=30m&g0.stacked=1&g0.step_input=30`);
      await chartDrawn(page);
      assert(new URL(page.url()).pathname.endsWith("/query"), `landed on ${page.url()}`);
      equal(await page.getByLabel("Range", { exact: true }).inputValue(), "30m", "range");
      equal(
        await page.getByRole("button", { name: "Stacked" }).getAttribute("aria-pressed"),
        "true",
        "stacked",
      );
      equal(await page.getByLabel("Step", { exact: true }).inputValue(), "30s", "step");
      await page.goto(`${url}/`);
      assert(new URL(page.url()).pathname.endsWith("/query"), `/ landed on ${page.url()}`);
    },
  ],
  [
    "what an alert links to opens as a table",
    async ({ page, url }) => {
      await page.goto(`${url}/graph?g0.expr=up+%3E%3D+0&g0.tab=1`);
      await page.locator(".result tbody tr").first().waitFor();
      assert(/^[01]$/.test(await page.locator(".result tbody .value").first().innerText()), "up is 0 or 1");
      assert(
        (await page.locator(".result tbody td").first().innerText()).startsWith("up{"),
        "the series is named",
      );
      assert(/^\d+ series · \d+ ms · at /.test(await page.locator(".stats").innerText()), "the stats line");
    },
  ],
  [
    "scalars, strings and empty results have their own looks",
    async ({ page, url }) => {
      await page.goto(
        `${url}/query?g0.expr=1+%2B+1&g1.expr=%22hello%22&g2.expr=up%7Bjob%3D%22no+such+job%22%7D`,
      );
      const panels = page.locator(".panel");
      await panels.nth(2).getByText("empty result").waitFor();
      equal(await panels.nth(0).locator(".value").innerText(), "2", "scalar");
      equal(await panels.nth(1).locator(".value").innerText(), "hello", "string");
      equal(await panels.nth(0).locator(".result th").innerText(), "scalar", "type");
    },
  ],
  [
    "a query with an error shows the server's text and the place",
    async ({ page, url, allowConsole }) => {
      allowConsole(/status of 400/);
      await page.goto(`${url}/query?g0.expr=up%7B&g0.tab=1`);
      const alert = page.getByRole("alert");
      await alert.waitFor();
      assert((await alert.innerText()).includes("parse error"), await alert.innerText());
      const place = (await alert.locator("code").innerText()).split("\n");
      equal(place[0], "up{", "the line in question");
      assert(/^ *\^$/.test(place[1] ?? ""), `the caret line is ${JSON.stringify(place[1])}`);
    },
  ],
  [
    "the editor completes from the server, runs on Enter and writes the URL",
    async ({ page, url, allowConsole }) => {
      // The half-typed word is no metric, which is no error; a server may still refuse a lookup of it.
      allowConsole(/status of 4\d\d/);
      await page.goto(`${url}/query?g0.expr=&g0.tab=1`);
      await editorReady(page);
      await page.locator(".cm-content").first().click();
      await page.keyboard.type("scrape_dur", { delay: 30 });
      const option = page
        .locator(".cm-tooltip-autocomplete li", { hasText: "scrape_duration_seconds" })
        .first();
      await option.waitFor();
      await option.click();
      await page.keyboard.press("Escape");
      await page.locator(".cm-content").first().click();
      await page.keyboard.press("Enter");
      await page.locator(".result tbody tr").first().waitFor();
      equal(param(page, "g0.expr"), "scrape_duration_seconds", "g0.expr");
      assert(
        (await page.locator(".result td").first().innerText()).startsWith("scrape_duration_seconds{"),
        "result",
      );
    },
  ],
  [
    "label names and values are completed",
    async ({ page, url, allowConsole }) => {
      allowConsole(/status of 4\d\d/);
      await page.goto(`${url}/query?g0.expr=&g0.tab=1`);
      await editorReady(page);
      await page.locator(".cm-content").first().click();
      await page.keyboard.type("up{jo", { delay: 40 });
      await page.locator(".cm-tooltip-autocomplete li", { hasText: /^job/ }).first().waitFor();
      await page.keyboard.press("Escape");
      await page.keyboard.type('b="', { delay: 40 });
      await page.locator(".cm-tooltip-autocomplete li").first().waitFor();
    },
  ],
  [
    "the linter marks what cannot be right",
    async ({ page, url, allowConsole }) => {
      allowConsole(/status of 4\d\d/);
      await page.goto(`${url}/query?g0.expr=sum(&g0.tab=1`);
      await editorReady(page);
      await page.locator(".cm-content").first().click();
      await page.keyboard.press("End");
      await page.keyboard.type(" ");
      await page.locator(".cm-lintRange-error, .cm-lintPoint-error").first().waitFor();
    },
  ],
  [
    "a plain text area works before the editor is there",
    async ({ page, url, allowConsole }) => {
      allowConsole(/ERR_FAILED/);
      await page.route(/codemirror-.*\.js/, (route) => route.abort());
      await page.goto(`${url}/query?g0.expr=&g0.tab=1`);
      const area = page.locator("textarea");
      await area.fill("up");
      await area.press("Enter");
      await page.locator(".result tbody tr").first().waitFor();
      equal(param(page, "g0.expr"), "up", "g0.expr");
    },
  ],
  [
    "format sets the expression as the server writes it",
    async ({ page, url }) => {
      await page.goto(`${url}/query?g0.expr=&g0.tab=1`);
      await typeQuery(page, "1+1");
      await page.getByRole("button", { name: "More for query 1" }).click();
      await page.getByRole("button", { name: "Format expression" }).click();
      await eventually(
        async () => (await page.locator(".cm-content").innerText()).trim() === "1 + 1",
        "formatted text",
      );
    },
  ],
  [
    "panels are added, duplicated and removed, and back undoes it",
    async ({ page, url }) => {
      await page.goto(`${url}/query?g0.expr=up&g0.tab=1`);
      await page.getByRole("button", { name: "Add query" }).click();
      await page.locator(".panel").nth(1).waitFor();
      equal(param(page, "g1.expr"), "", "the new panel is in the URL");
      await page.getByRole("button", { name: "More for query 1" }).click();
      await page.getByRole("button", { name: "Duplicate" }).click();
      await page.locator(".panel").nth(2).waitFor();
      equal(param(page, "g1.expr"), "up", "the duplicate stands below");
      await page.getByRole("button", { name: "More for query 3" }).click();
      await page.getByRole("button", { name: "Remove" }).click();
      await eventually(async () => (await page.locator(".panel").count()) === 2, "the panel is gone");
      await page.goBack();
      await eventually(async () => (await page.locator(".panel").count()) === 3, "back brings it again");
    },
  ],
  [
    "dragging zooms, z goes back, and the browser's back button as well",
    async ({ page, url }) => {
      await page.goto(`${url}/query?g0.expr=up&g0.tab=graph&g0.range_input=1h`);
      await chartDrawn(page);
      const box = await page.locator(".u-over").boundingBox();
      assert(box !== null, "no chart");
      await page.mouse.move(box.x + box.width * 0.5, box.y + 50);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.75, box.y + 80, { steps: 5 });
      await page.mouse.up();
      await eventually(() => param(page, "g0.end_input") !== null, "the zoom is in the URL");
      const range = param(page, "g0.range_input") ?? "";
      assert(/^1[45]m/.test(range), `a quarter of an hour, not ${range}`);
      await page.getByRole("button", { name: "Zoom back" }).waitFor();
      await page.keyboard.press("z");
      await eventually(
        () => param(page, "g0.range_input") === "1h" && param(page, "g0.end_input") === null,
        "the view before",
      );
      await page.goBack();
      await eventually(() => param(page, "g0.range_input") === range, "the zoom again");
    },
  ],
  [
    "the tooltip follows the pointer and the arrow keys",
    async ({ page, url }) => {
      await page.goto(`${url}/query?g0.expr=up&g0.tab=graph&g0.range_input=1m`);
      await chartDrawn(page);
      await page.locator(".chart").focus();
      await page.keyboard.press("ArrowLeft");
      const tooltip = page.locator(".chart-tooltip");
      await tooltip.waitFor({ state: "visible" });
      const said = page.locator(".plot [aria-live]");
      await eventually(
        async () => /up\{.*: .* at \d{4}-/.test(await said.innerText()),
        "the point is announced",
      );
      const before = await said.innerText();
      await page.keyboard.press("ArrowLeft");
      await eventually(async () => (await said.innerText()) !== before, "the next point is announced");
    },
  ],
  [
    "range, end time and resolution are set by hand and rejected when they mean nothing",
    async ({ page, url }) => {
      await page.goto(`${url}/query?g0.expr=up&g0.tab=graph`);
      const range = page.getByLabel("Range", { exact: true });
      await range.fill("soon");
      await range.press("Enter");
      equal(await range.getAttribute("aria-invalid"), "true", "a bad range is marked");
      await range.fill("2h");
      await range.press("Enter");
      await eventually(() => param(page, "g0.range_input") === "2h", "range in the URL");
      await page.getByRole("button", { name: "Longer range" }).click();
      await eventually(() => param(page, "g0.range_input") === "6h", "the next longer range");
      await page.getByRole("button", { name: /Time zone/ }).click();
      const end = page.getByLabel(/^End time \(/);
      await end.fill("2026-01-02 03:04:05");
      await end.press("Enter");
      await eventually(() => param(page, "g0.end_input") === "2026-01-02 03:04:05", "UTC is written as UTC");
      await page.getByRole("button", { name: /Time zone/ }).click();
      await eventually(
        async () => (await end.inputValue()) === "2026-01-02 04:04:05",
        "Berlin is an hour ahead in winter",
      );
      await page.getByLabel("Resolution").selectOption("60");
      await eventually(
        () => param(page, "g0.res_type") === "fixed" && param(page, "g0.res_step") === "60",
        "step",
      );
      await page.getByRole("button", { name: "Now" }).click();
      await eventually(() => param(page, "g0.end_input") === null, "the clock is followed again");
    },
  ],
  [
    "legend entries hide and isolate series",
    async ({ page, url }) => {
      await page.goto(
        `${url}/query?g0.expr=%7B__name__%3D~%22up%7Cscrape_duration_seconds%22%7D&g0.tab=graph&g0.range_input=1m`,
      );
      await chartDrawn(page);
      const hidden = page.locator('.legend li[data-hidden="true"]');
      const all = await page.locator(".legend li").count();
      assert(all >= 2, `${all} series`);
      await page.locator(".legend-toggle").first().click();
      equal(await hidden.count(), 1, "one hidden");
      await page.locator(".legend-name").first().click();
      equal(await hidden.count(), all - 1, "all others hidden");
      await page.locator(".legend-name").first().click();
      equal(await hidden.count(), 0, "all shown again");
    },
  ],
  [
    "the history remembers, searches and runs",
    async ({ page, url }) => {
      await page.goto(`${url}/query?g0.expr=&g0.tab=1`);
      for (const expr of ["up", "1 + 1"]) {
        await typeQuery(page, expr);
        await page.getByRole("button", { name: "Execute" }).click();
        await eventually(() => param(page, "g0.expr") === expr, expr);
      }
      await page.reload();
      await page.getByRole("button", { name: "More for query 1" }).click();
      await page.getByRole("button", { name: "History" }).click();
      equal(await page.locator(".history-entry").allInnerTexts(), ["1 + 1", "up"], "newest first");
      await page.getByLabel("Search the history").fill("U");
      await page.locator(".history-entry").first().click();
      await eventually(() => param(page, "g0.expr") === "up", "the entry runs");
    },
  ],
  [
    "going to another page and back loses nothing and loads nothing anew",
    async ({ page, url }) => {
      await page.goto(`${url}/query?g0.expr=up&g0.tab=1`);
      await page.locator(".result tbody tr").first().waitFor();
      await page.evaluate(() => {
        document.body.dataset.mark = "same";
      });
      await page.getByRole("link", { name: "Targets" }).click();
      await page.locator(".target").first().waitFor();
      await page.getByRole("link", { name: "Query", exact: true }).click();
      await page.locator(".result tbody tr").first().waitFor();
      equal(param(page, "g0.expr"), "up", "the query");
      equal(await page.evaluate(() => document.body.dataset.mark), "same", "the document");
      await page.getByRole("button", { name: "Status" }).click();
      await page.getByRole("link", { name: "Flags" }).click();
      await page.getByRole("heading", { name: "Flags" }).waitFor();
      await page.goBack();
      await page.locator(".result tbody tr").first().waitFor();
    },
  ],
  [
    "keys: / writes, ? explains, g t goes to the targets",
    async ({ page, url }) => {
      await page.goto(`${url}/query?g0.expr=up&g0.tab=1`);
      await editorReady(page);
      await page.keyboard.press("/");
      await eventually(
        () => page.evaluate(() => document.activeElement?.className.includes("cm-content") ?? false),
        "the editor has the focus",
      );
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await page.keyboard.press("g");
      await page.keyboard.press("t");
      await page.getByRole("heading", { name: "Targets" }).waitFor();
    },
  ],
  [
    "targets are listed with their health, and filters live in the URL",
    async ({ page, url }) => {
      await page.goto(`${url}/targets`);
      await page.locator(".target-up").first().waitFor();
      const pool = await page.locator(".pool-name").first().innerText();
      assert((await page.locator(".target-up .labels").first().innerText()).includes("instance="), "labels");
      assert(/ago$/.test(await page.locator(".target-up dd").first().innerText()), "last scrape");
      await page.getByRole("button", { name: /^up \d/ }).click();
      await eventually(() => param(page, "health") === "up", "health in the URL");
      await page.getByLabel("Search in addresses").fill("no such target");
      await page.getByText("No target matches").waitFor();
      equal(param(page, "search"), "no such target", "search in the URL");
      await page.goto(
        `${url}/targets?pool=${encodeURIComponent(pool)}&collapsed=${encodeURIComponent(pool)}`,
      );
      await page.locator(".pool").first().waitFor();
      equal(await page.locator(".target").count(), 0, "a folded pool shows no targets");
      await page.locator(".pool button").first().click();
      await page.locator(".target").first().waitFor();
      await page
        .getByRole("button", { name: /^Discovered labels of/ })
        .first()
        .click();
      assert(
        (await page.locator(".target-discovered").innerText()).includes("__address__"),
        "discovered labels",
      );
    },
  ],
  [
    "the status pages show what they are named after",
    async ({ page, url }) => {
      for (const [path, text] of [
        ["/status", /Storage retention|Start time/],
        ["/tsdb-status", /Series in the head/],
        ["/flags", /--storage\.tsdb\.retention\.time/],
        ["/config", /scrape_configs:/],
      ]) {
        await page.goto(`${url}${path}`);
        await page
          .getByText(/** @type {RegExp} */ (text))
          .first()
          .waitFor();
      }
    },
  ],
  [
    "themes can be chosen and stay",
    async ({ page, url }) => {
      await page.goto(`${url}/targets`);
      const background = () =>
        page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      const light = await background();
      await page.getByRole("button", { name: "Theme" }).click();
      await page.getByRole("button", { name: "Dark", exact: true }).click();
      await eventually(async () => (await background()) !== light, "another background");
      const dark = await background();
      await page.reload();
      equal(await background(), dark, "after reloading");
    },
  ],
  ...["light", "dark"].map(
    (scheme) =>
      /** @type {Case} */ ([
        `no accessibility violation on any page (${scheme})`,
        async ({ page, url }) => {
          await page.emulateMedia({ colorScheme: /** @type {"light" | "dark"} */ (scheme) });
          for (const path of PAGES) {
            await page.goto(url + path);
            await page.locator(".result, .chart .u-over, .target, .facts, .config").first().waitFor();
            if (path.startsWith("/query")) await editorReady(page);
            const violations = await axe(page);
            assert(violations.length === 0, `${path}: ${violations.join("\n")}`);
          }
        },
      ]),
  ),
  [
    "nothing sticks out at 390 and 320 pixels",
    async ({ page, url }) => {
      for (const width of [390, 320]) {
        await page.setViewportSize({ width, height: 844 });
        for (const path of PAGES) {
          await page.goto(url + path);
          await page.locator(".result, .chart .u-over, .target, .facts, .config").first().waitFor();
          const over = await page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
          );
          assert(over <= 0, `${path} is ${over} pixels too wide at ${width}`);
        }
      }
    },
  ],
];
