// The page must stay small: what the browser fetches before the first chart, and that the rest comes later.

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { beforeAll, expect, test } from "vitest";

type Chunk = Rolldown.OutputChunk;

const root = fileURLToPath(new URL("..", import.meta.url));
let files: (Chunk | Rolldown.OutputAsset)[] = [];

beforeAll(async () => {
  const built = await build({ root, logLevel: "silent", build: { write: false } });
  files = (Array.isArray(built) ? built : [built]).flatMap((one) => ("output" in one ? one.output : []));
}, 120_000);

const gzipped = (content: string | Uint8Array) => gzipSync(content, { level: 9 }).length;

function chunk(part: string): Chunk {
  const found = files.find((file): file is Chunk => file.type === "chunk" && file.fileName.includes(part));
  if (!found) throw new Error(`no chunk ${part} in ${files.map((file) => file.fileName)}`);
  return found;
}

/** A chunk and all that it imports at once. */
function withImports(start: Chunk, seen = new Set<Chunk>()): Set<Chunk> {
  seen.add(start);
  for (const name of start.imports) {
    const next = files.find((file): file is Chunk => file.type === "chunk" && file.fileName === name);
    if (next && !seen.has(next)) withImports(next, seen);
  }
  return seen;
}

const size = (chunks: Iterable<Chunk>) => [...chunks].reduce((sum, one) => sum + gzipped(one.code), 0);

function entry(): Chunk {
  const found = files.find((file): file is Chunk => file.type === "chunk" && file.isEntry);
  if (!found) throw new Error("no entry");
  return found;
}

test("the entry is under 45 kB", () => {
  expect(size(withImports(entry()))).toBeLessThan(45_000);
});

test("everything for the first chart is under 60 kB", () => {
  expect(size(new Set([...withImports(entry()), ...withImports(chunk("chart"))]))).toBeLessThan(60_000);
});

test("the editor is lazy and under 155 kB", () => {
  const editor = chunk("codemirror");
  expect(withImports(entry()).has(editor)).toBe(false);
  expect(gzipped(editor.code)).toBeLessThan(155_000);
});

test("the style sheet is under 12 kB", () => {
  const sheets = files.filter((file) => file.type === "asset" && file.fileName.endsWith(".css"));
  expect(sheets.length).toBeGreaterThan(0);
  expect(
    sheets.reduce((sum, file) => sum + gzipped(file.type === "asset" ? file.source : ""), 0),
  ).toBeLessThan(12_000);
});

test("index.html works under any prefix and has no inline script", () => {
  const page = files.find((file) => file.fileName === "index.html");
  const html = page?.type === "asset" ? String(page.source) : "";
  for (const placeholder of ["__PROMONTORY_BASE__", "__PROMONTORY_TITLE__", "__PROMONTORY_LOOKBACK__"]) {
    expect(html).toContain(placeholder);
  }
  const addresses = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] ?? "");
  expect(addresses.length).toBeGreaterThan(2);
  for (const address of addresses) expect(address).toMatch(/^\.\//);
  expect(html).not.toMatch(/<script(?![^>]*src=)/);
  expect(html).not.toMatch(/ on\w+=/);
});
