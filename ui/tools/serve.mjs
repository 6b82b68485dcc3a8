// Serves the built page as the real server does (placeholders filled, pages under a route prefix) in front
// of an API: the mock, or any server that speaks Prometheus's.
//
//   node tools/serve.mjs --port 9091 --backend http://127.0.0.1:9090 --prefix /metrics-ui

import { readFile } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MockState, reply } from "../mock/api.mjs";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const PAGES = ["/query", "/targets", "/status", "/tsdb-status", "/flags", "/config", "/alerts", "/rules"];
const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};

/** What the page may do; the editor and uPlot set styles from script. */
export const CONTENT_SECURITY_POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'";

/**
 * @typedef {object} Options
 * @property {number} [port] 0 for any
 * @property {string} [prefix] "" or "/prefix": what the server believes its pages lie under
 * @property {string} [outside] a path in front of the prefix that a proxy strips, unknown to the server
 * @property {string} [title]
 * @property {string} [backend] where the API is; the mock when left out
 * @property {MockState} [state] what the mock is like
 */

/** @param {Options} options @returns {Promise<{ url: string, state: MockState, close: () => Promise<void> }>} */
export async function serve({
  port = 0,
  prefix = "",
  outside = "",
  title = "Promontory",
  backend,
  state = new MockState(),
}) {
  const server = createServer((request, response) => {
    handle(request, response).catch((error) => {
      response.writeHead(500).end(String(error));
    });
  });

  /** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response */
  async function handle(request, response) {
    const url = new URL(request.url ?? "/", "http://host");
    const mount = outside + prefix;
    if (!url.pathname.startsWith(mount)) return void response.writeHead(404).end("not found");
    const path = url.pathname.slice(mount.length);
    if (path.startsWith("/api/") || path.startsWith("/-/")) {
      if (backend) return void proxy(request, response, backend + path + url.search);
      const params = new URLSearchParams(
        url.search + (request.method === "POST" ? `&${await body(request)}` : ""),
      );
      const answer = reply(request.method ?? "GET", path, params, state);
      return void response.writeHead(answer?.status ?? 404, answer?.headers).end(answer?.body ?? "not found");
    }
    if (path === "" || path === "/" || path === "/graph") {
      return void response.writeHead(302, { location: `${mount}/query${url.search}` }).end();
    }
    const file = PAGES.includes(path) ? "/index.html" : normalize(path);
    const content = await readFile(join(DIST, file)).catch(() => null);
    if (!content) return void response.writeHead(404).end("not found");
    const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(file))] ?? "application/octet-stream";
    const headers = { "content-type": type, "content-security-policy": CONTENT_SECURITY_POLICY };
    if (file !== "/index.html") return void response.writeHead(200, headers).end(content);
    const page = content
      .toString()
      .replaceAll("__PROMONTORY_BASE__", prefix)
      .replaceAll("__PROMONTORY_TITLE__", title)
      .replaceAll("__PROMONTORY_LOOKBACK__", "5m");
    response.writeHead(200, headers).end(page);
  }

  await new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}${outside}${prefix}`,
    state,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** @param {import("node:http").IncomingMessage} request */
async function body(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

/** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response @param {string} target */
function proxy(request, response, target) {
  const { host: _host, ...headers } = request.headers;
  const onward = httpRequest(target, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", (error) => {
    if (!response.headersSent) response.writeHead(502);
    response.end(String(error));
  });
  request.pipe(onward);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "9091" },
      prefix: { type: "string", default: "" },
      backend: { type: "string" },
    },
  });
  const { url } = await serve({
    port: Number(values.port),
    prefix: values.prefix,
    ...(values.backend ? { backend: values.backend } : {}),
  });
  console.log(`${url}/query`);
}
