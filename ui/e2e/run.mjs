// npm run e2e
//
// Drives the built page in Chromium. Against the server at PROMONTORY_URL when that is set (its address with
// the route prefix), else against the mock; the tests of special server states always use the mock.
// PROMONTORY_BACKEND=<address> serves the built page here, in front of that server's API.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { serve } from "../tools/serve.mjs";
import { runAll } from "./harness.mjs";
import { mockTests } from "./mock-tests.mjs";
import { serverTests } from "./server-tests.mjs";

if (!existsSync(fileURLToPath(new URL("../dist/index.html", import.meta.url)))) {
  console.error("there is no dist: run `npm run build` first");
  console.log("0 passed, 1 failed");
  process.exit(1);
}

const given = process.env.PROMONTORY_URL?.replace(/\/$/, "");
const backend = process.env.PROMONTORY_BACKEND?.replace(/\/$/, "");
const own = given ? null : await serve(backend ? { backend } : {});
const url = given ?? own?.url ?? "";
const what = given ? "server" : backend ? "backend" : "mock server";
console.log(`${what}: ${given ?? backend ?? url}`);

// Words to choose tests by their names: `npm run e2e -- targets zoom`.
const wanted = process.argv.slice(2);
const tests = [
  ...serverTests.map(([name, run]) => ({ name: `${what}: ${name}`, run, url: () => url })),
  ...mockTests(),
].filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));

const failed = await runAll(tests);
await own?.close();
process.exit(failed === 0 && tests.length > 0 ? 0 : 1);
