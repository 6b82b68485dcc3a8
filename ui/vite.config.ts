import { defineConfig } from "vitest/config";

// `npm run dev` serves the page itself and passes the API on to a running server.
const backend = process.env.PROMONTORY_URL ?? "http://127.0.0.1:9090";

export default defineConfig({
  // Relative, so that one build works under every route prefix.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    // `light-dark()`, popovers and `:has()` are used as they are: browsers from 2024 on.
    target: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 600,
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": backend, "/-": backend, "/metrics": backend },
  },
  test: {
    include: ["src/**/*.test.ts", "tools/**/*.test.ts"],
    environment: "node",
  },
});
