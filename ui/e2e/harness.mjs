// A small test runner on a real browser: each test has a fresh context, and none may cause a console error,
// an uncaught exception or a request to another origin.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {{ page: Page, url: string, allowConsole(pattern: RegExp): void }} Tools */
/** @typedef {{ name: string, run: (tools: Tools) => Promise<void>, url: () => Promise<string> | string, close?: () => Promise<void> }} Test */

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** A busy build machine draws slowly; a hang is still seen within a test's patience. */
const PATIENCE_MS = 20_000;

/**
 * A renderer that spins answers nothing, and nothing in the page can time out then. It has been seen once in
 * some hundred tests, in the editor, and its cause is not known: such a test is run once more in a new
 * browser, and said so.
 */
const HANG_MS = 120_000;

/** @type {unique symbol} */
const HUNG = Symbol("hung");

/** @template T @param {Promise<T>} promise @param {number} ms @returns {Promise<T | typeof HUNG>} */
function within(promise, ms) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(HUNG), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function launch() {
  return chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** @param {readonly Test[]} tests @returns {Promise<number>} how many failed */
export async function runAll(tests) {
  if (!existsSync(CHROMIUM)) {
    console.error(`no browser at ${CHROMIUM}: install chromium, or set CHROMIUM to its path`);
    console.log(`0 passed, ${tests.length} failed`);
    return tests.length;
  }
  let browser = await launch();
  let failed = 0;
  for (const test of tests) {
    const started = Date.now();
    let problem = await within(runOne(browser, test), HANG_MS);
    if (problem === HUNG) {
      console.log(`HUNG ${test.name}: once more in a new browser`);
      await within(browser.close(), 10_000);
      browser = await launch();
      problem = await within(runOne(browser, test), HANG_MS);
      if (problem === HUNG) problem = "the browser hung twice";
    }
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    console.log(`${problem ? "FAIL" : "ok  "} ${test.name} (${seconds} s)`);
    if (problem) {
      failed++;
      console.log(problem.replace(/^/gm, "       "));
    }
  }
  await within(browser.close(), 10_000);
  console.log(`${tests.length - failed} passed, ${failed} failed`);
  return failed;
}

/** @param {import("playwright-core").Browser} browser @param {Test} test @returns {Promise<string | null>} what went wrong */
async function runOne(browser, test) {
  /** @type {string[]} */
  const complaints = [];
  /** @type {RegExp[]} */
  const allowed = [];
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
    timezoneId: "Europe/Berlin",
  });
  try {
    const url = await test.url();
    const origin = new URL(url).origin;
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
    page.on("request", (request) => {
      if (/^https?:/.test(request.url()) && new URL(request.url()).origin !== origin)
        complaints.push(`foreign request: ${request.url()}`);
    });
    await test.run({ page, url, allowConsole: (pattern) => allowed.push(pattern) });
  } catch (error) {
    complaints.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await context.close();
    await test.close?.();
  }
  const left = complaints.filter((complaint) => !allowed.some((pattern) => pattern.test(complaint)));
  return left.length === 0 ? null : left.join("\n");
}

const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/**
 * Violations of WCAG 2.2 A and AA on the page as it is now, one a line.
 * @param {Page} page @returns {Promise<string[]>}
 */
export async function axe(page) {
  // Read into the page by the debugger, so that the page's own content security policy stays in force.
  const { readFile } = await import("node:fs/promises");
  await page.evaluate(await readFile(axePath, "utf8"));
  return page.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    // @ts-expect-error axe is a global of the page
    const { violations } = await window.axe.run(document, { runOnly: { type: "tag", values: tags } });
    return violations.map(
      (/** @type {any} */ one) =>
        `${one.impact} ${one.id}: ${one.help}\n  ${one.nodes.map((/** @type {any} */ node) => `${node.html.slice(0, 160)} ${node.any?.[0]?.message ?? ""}`).join("\n  ")}`,
    );
  });
}

/** @param {boolean} condition @param {string} message @returns {asserts condition} */
export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

/** @param {unknown} actual @param {unknown} expected @param {string} what */
export function equal(actual, expected, what) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: got ${a}, expected ${b}`);
}

/**
 * Waits until a condition in this process holds; `what` tells what was missed.
 * @param {() => boolean | Promise<boolean>} condition @param {string} what
 */
export async function eventually(condition, what) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** How many pixels of the chart's canvas differ from its most frequent colour. @param {Page} page */
export async function drawnPixels(page) {
  return page
    .locator(".chart .u-wrap > canvas")
    .first()
    .evaluate((/** @type {HTMLCanvasElement} */ canvas) => {
      const { data } = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? {
        data: [],
      };
      let drawn = 0;
      // Grey is grid, axis or text; lines and areas have a hue.
      for (let i = 0; i < data.length; i += 4) {
        const [r = 0, g = 0, b = 0, a = 0] = [data[i], data[i + 1], data[i + 2], data[i + 3]];
        // Faint pixels have lost their hue to rounding.
        if (a > 120 && Math.max(r, g, b) - Math.min(r, g, b) > 40) drawn++;
      }
      return drawn;
    });
}

/** Waits for a chart with lines or areas on it. @param {Page} page @param {number} [timeout] */
export async function chartDrawn(page, timeout = PATIENCE_MS) {
  const end = Date.now() + timeout;
  await page.locator(".chart .u-over").first().waitFor({ timeout });
  while ((await drawnPixels(page)) < 20) {
    if (Date.now() > end) throw new Error("the chart has no lines");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
