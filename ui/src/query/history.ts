// Queries that were run in this browser, newest first. They never leave it.

import { signal } from "@preact/signals";
import { keepHistory, readStored, store } from "../settings";

/** Enough for weeks of work, small enough to keep whole in the browser's storage. */
const ENTRIES_MAX = 200;
/** A longer one is kept by whoever generated it. */
const CHARS_MAX = 10_000;

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === "string");

export const history = signal<readonly string[]>(readStored("history", isTexts, []));

/** `entries` with `expr` in front, once, and without the oldest when there are too many. */
export function withEntry(entries: readonly string[], expr: string, max = ENTRIES_MAX): string[] {
  return [expr, ...entries.filter((entry) => entry !== expr)].slice(0, max);
}

/** Entries that have every word of `search`, in any order and case. */
export function matching(entries: readonly string[], search: string): string[] {
  const words = search.toLowerCase().split(/\s+/);
  return entries.filter((entry) => words.every((word) => entry.toLowerCase().includes(word)));
}

function write(entries: readonly string[]): void {
  history.value = entries;
  store("history", entries);
}

export function remember(expr: string): void {
  if (!keepHistory.peek() || expr.trim() === "" || expr.length > CHARS_MAX) return;
  write(withEntry(history.peek(), expr));
}

export function forget(expr: string): void {
  write(history.peek().filter((entry) => entry !== expr));
}

export function forgetAll(): void {
  write([]);
}
