// A stand-in for the server's HTTP API, for tests of the page alone. It answers a few expressions with data
// that depend on nothing but the request, and can be told to be in trouble.
//
// It is not a PromQL engine: which expression answers what stands in `answerFor`.

/** What the tests change at run time. */
export class MockState {
  /** "ready", "starting" or "stopping". */
  readiness = "ready";
  replay = { min: 0, max: 8, current: 3 };
  reloadConfigSuccess = true;
  /** Added to the clock that the server claims to have. */
  skewMs = 0;
  /** What else is wrong. @type {string[]} */
  complaints = [];
  /** Metrics that exist; the suggestions depend on them. */
  metrics = ["up", "node_cpu_seconds_total", "node_load1", "scrape_duration_seconds"];
  /** Whether rates have two scrapes to work on. */
  rates = true;
  targets = 40;
  /** Every request, "METHOD /path?query". @type {string[]} */
  requests = [];
}

/** @typedef {{ status: number, headers?: Record<string, string>, body: string }} Reply */

/** @param {unknown} data @param {object} [more] @returns {Reply} */
const success = (data, more = {}) => json(200, { status: "success", data, ...more });

/** @param {number} status @param {string} errorType @param {string} error @returns {Reply} */
const failure = (status, errorType, error) => json(status, { status: "error", errorType, error });

/** @param {number} status @param {unknown} value @returns {Reply} */
const json = (status, value) => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value),
});

const MODES = ["iowait", "irq", "nice", "softirq", "steal", "system", "user"];

/**
 * The series of an expression: labels, and the value at Unix seconds, or null for none.
 * @typedef {{ labels: Record<string, string>, at: (time: number) => string | null }} MockSeries
 */

/** @param {number} value */
const text = (value) => String(Number(value.toFixed(6)));

/**
 * @param {string} expr @param {MockState} state
 * @returns {{ series?: MockSeries[], scalar?: string, string?: string, warnings?: string[], infos?: string[], error?: string }}
 */
function answerFor(expr, state) {
  const query = expr.replace(/\s+/g, " ").trim();
  if (query === "")
    return {
      error: 'invalid parameter "query": unknown position: parse error: no expression found in input',
    };
  const open = query.lastIndexOf("{");
  if (open >= 0 && !query.includes("}", open)) {
    return {
      error: `invalid parameter "query": 1:${query.length + 1}: parse error: unexpected end of input inside braces`,
    };
  }
  const quoted = /^"(.*)"$/.exec(query);
  if (quoted) return { string: quoted[1] ?? "" };
  if (/^[-+\d.e]+$/.test(query)) return { scalar: String(Number(query)) };
  if (query === "1 + 1") return { scalar: "2" };
  if (query.startsWith("count by (__name__)")) {
    return { series: state.metrics.map((name) => ({ labels: { __name__: name }, at: () => "1" })) };
  }
  if (query.includes("rate(") && !state.rates) return { series: [] };
  if (query.startsWith("sum by (mode)")) {
    return {
      series: MODES.map((mode, index) => ({
        labels: { mode },
        at: (time) => text(0.05 * (index + 1) * (1.2 + Math.sin(time / 300 + index))),
      })),
    };
  }
  if (query === "rate(up[5m])") {
    return {
      series: [],
      infos: ['metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "up" (1:6)'],
    };
  }
  if (query === "warned") return { series: [], warnings: ["results truncated due to limit"] };
  if (query === "odd") {
    return {
      series: ["NaN", "+Inf", "-Inf", "1"].map((value) => ({
        labels: { __name__: "odd", value },
        at: () => value,
      })),
    };
  }
  const many = /^many\((\d+)\)$/.exec(query);
  if (many) {
    return {
      series: Array.from({ length: Number(many[1]) }, (_, index) => ({
        labels: { __name__: "many", instance: `host-${String(index).padStart(5, "0")}:9100`, job: "node" },
        at: (time) => text(index + Math.sin(time / 200 + index)),
      })),
    };
  }
  if (query === "slow_failure") return { error: "query timed out in expression evaluation" };
  if (query === "sum by (job) (up)") {
    return { series: state.metrics.includes("up") ? [{ labels: { job: "node" }, at: () => "3" }] : [] };
  }
  const named = /^\{__name__=~"([^"]*)"\}$/.exec(query)?.[1]?.split("|");
  const bare = query.replace(/ >= 0$/, "");
  const metrics = state.metrics.filter((name) => (named ? named.includes(name) : bare === name));
  return { series: metrics.flatMap(seriesOf) };
}

/** @param {string} metric @returns {MockSeries[]} */
function seriesOf(metric) {
  return ["a:9100", "b:9100", "c:9100"].map((instance, index) => ({
    labels: { __name__: metric, instance, job: "node" },
    at: (time) => (metric === "up" ? "1" : text(1 + index + Math.sin(time / 240 + index))),
  }));
}

/** @param {URLSearchParams} params @param {MockState} state @returns {Reply} */
function query(params, state) {
  const time = Number(params.get("time") ?? Date.now() / 1000);
  const answer = answerFor(params.get("query") ?? "", state);
  if (answer.error)
    return answer.error.includes("timed out")
      ? failure(503, "timeout", answer.error)
      : failure(400, "bad_data", answer.error);
  const notes = notesOf(answer);
  if (answer.scalar !== undefined)
    return success({ resultType: "scalar", result: [time, answer.scalar] }, notes);
  if (answer.string !== undefined)
    return success({ resultType: "string", result: [time, answer.string] }, notes);
  const result = (answer.series ?? []).map((series) => ({
    metric: series.labels,
    value: [time, series.at(time) ?? "NaN"],
  }));
  return success({ resultType: "vector", result }, notes);
}

/** @param {URLSearchParams} params @param {MockState} state @returns {Reply} */
function queryRange(params, state) {
  const [start, end, step] = ["start", "end", "step"].map((name) => Number(params.get(name)));
  if (!(Number(step) > 0))
    return failure(
      400,
      "bad_data",
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    );
  const answer = answerFor(params.get("query") ?? "", state);
  if (answer.error)
    return answer.error.includes("timed out")
      ? failure(503, "timeout", answer.error)
      : failure(400, "bad_data", answer.error);
  if (answer.string !== undefined)
    return failure(
      400,
      "bad_data",
      'invalid parameter "query": invalid expression type "string" for range query, must be Scalar or instant Vector',
    );
  const series =
    answer.scalar === undefined ? (answer.series ?? []) : [{ labels: {}, at: () => answer.scalar ?? null }];
  const result = series.map((one) => {
    const values = [];
    for (let time = Number(start); time <= Number(end) + 1e-9; time += Number(step)) {
      const value = one.at(time);
      if (value !== null) values.push([Math.round(time * 1000) / 1000, value]);
    }
    return { metric: one.labels, values };
  });
  return success({ resultType: "matrix", result }, notesOf(answer));
}

/** @param {{ warnings?: string[], infos?: string[] }} answer */
const notesOf = ({ warnings, infos }) => ({ ...(warnings ? { warnings } : {}), ...(infos ? { infos } : {}) });

/** @param {MockState} state */
function targets(state) {
  const activeTargets = Array.from({ length: state.targets }, (_, index) => {
    const pool = index % 4 === 3 ? "telegraf" : "node";
    const health = index % 17 === 5 ? "down" : index % 23 === 7 ? "unknown" : "up";
    const instance = `host-${String(index).padStart(4, "0")}.example:9100`;
    return {
      discoveredLabels: {
        __address__: instance,
        __metrics_path__: "/metrics",
        __scheme__: "http",
        job: pool,
      },
      labels: { instance, job: pool, rack: `r${index % 9}` },
      scrapePool: pool,
      scrapeUrl: `http://${instance}/metrics`,
      globalUrl: `http://${instance}/metrics`,
      lastError:
        health === "down" ? `Get "http://${instance}/metrics": dial tcp: connect: connection refused` : "",
      lastScrape:
        health === "unknown"
          ? "0001-01-01T00:00:00Z"
          : new Date(Date.now() - 1000 * (index % 15)).toISOString(),
      lastScrapeDuration: 0.004 + (index % 10) / 500,
      health,
      scrapeInterval: "15s",
      scrapeTimeout: "10s",
    };
  });
  return { activeTargets, droppedTargets: [], droppedTargetCounts: { node: 2, telegraf: 0 } };
}

/** @param {string} text */
const notification = (text) => ({ text, date: "2026-11-24T00:00:00Z", active: true });

/** @param {MockState} state @returns {Record<string, unknown>} */
const status = (state) => ({
  runtimeinfo: {
    startTime: "2026-11-24T00:00:00Z",
    CWD: "/var/lib/promontory",
    hostname: "mock",
    serverTime: new Date(Date.now() + state.skewMs).toISOString(),
    reloadConfigSuccess: state.reloadConfigSuccess,
    lastConfigTime: "2026-11-24T00:00:00Z",
    corruptionCount: 0,
    goroutineCount: 12,
    GOMAXPROCS: 2,
    GOMEMLIMIT: 2 ** 63,
    GOGC: "75",
    GODEBUG: "",
    storageRetention: "15d",
  },
  buildinfo: {
    version: "3.14.0",
    revision: "mock",
    branch: "main",
    buildUser: "",
    buildDate: "",
    goVersion: "",
  },
  flags: { "config.file": "prometheus.yml", "storage.tsdb.retention.time": "15d", "web.external-url": "" },
  config: { yaml: "global:\n  scrape_interval: 15s\nscrape_configs:\n- job_name: node\n" },
  tsdb: {
    headStats: {
      numSeries: 393000,
      numLabelPairs: 5120,
      chunkCount: 790000,
      minTime: 1795480304000,
      maxTime: 1795487504000,
    },
    seriesCountByMetricName: [
      { name: "node_cpu_seconds_total", value: 28800 },
      { name: "up", value: 450 },
    ],
    labelValueCountByLabelName: [{ name: "__name__", value: 980 }],
    memoryInBytesByLabelName: [{ name: "__name__", value: 48213 }],
    seriesCountByLabelValuePair: [{ name: "job=node", value: 380000 }],
  },
  walreplay: state.replay,
});

/** @param {string} method @param {string} path @param {URLSearchParams} params @param {MockState} state @returns {Reply | null} */
export function reply(method, path, params, state) {
  state.requests.push(`${method} ${path}?${params}`);
  if (path === "/-/ready") {
    if (state.readiness === "ready") return { status: 200, body: "Prometheus Server is Ready.\n" };
    const headers = { "X-Prometheus-Stopping": String(state.readiness === "stopping") };
    return { status: 503, headers, body: "Service Unavailable" };
  }
  if (!path.startsWith("/api/v1/")) return null;
  const endpoint = path.slice("/api/v1/".length);
  if (state.readiness !== "ready" && endpoint !== "status/walreplay")
    return { status: 503, body: "Service Unavailable" };
  switch (endpoint) {
    case "query":
      return query(params, state);
    case "query_range":
      return queryRange(params, state);
    case "format_query": {
      const expr = params.get("query") ?? "";
      const answer = answerFor(expr, state);
      return answer.error
        ? failure(400, "bad_data", answer.error)
        : success(
            expr
              .replace(/\s+/g, " ")
              .replace(/\s*([+*/])\s*/g, " $1 ")
              .trim(),
          );
    }
    case "labels":
      return success(["__name__", "instance", "job"]);
    case "label/__name__/values":
      return success(state.metrics);
    case "label/job/values":
      return success(["node", "telegraf"]);
    case "metadata":
      return success({ up: [{ type: "gauge", help: "Whether the last scrape succeeded.", unit: "" }] });
    case "series":
      return success(state.metrics.map((name) => ({ __name__: name, instance: "a:9100", job: "node" })));
    case "targets":
      return success(targets(state));
    case "notifications":
      return success([
        ...(state.reloadConfigSuccess ? [] : [notification("Configuration reload has failed.")]),
        ...state.complaints.map(notification),
      ]);
  }
  const page = status(state)[endpoint.replace("status/", "")];
  return page ? success(page) : failure(404, "not_found", "not found");
}
