// The panels of the query page. The URL is the state; this reads and writes it.

import { computed } from "@preact/signals";
import { location, navigate } from "../router";
import { DEFAULT_PANEL, type Panel } from "./panel";
import { decodePanels, encodePanels, PANELS_MAX } from "./url";

export const panels = computed<Panel[]>(() => {
  const { path, search } = location.value;
  return path === "/query" ? decodePanels(search) : [];
});

// Panels move when one above them goes; their identity (what was typed, hidden, zoomed) moves along.
const ids: number[] = [];
let nextId = 1;

/** One lasting number per panel, in the order of the panels. */
export function panelIds(count: number): readonly number[] {
  while (ids.length < count) ids.push(nextId++);
  ids.length = count;
  return ids;
}

function write(next: readonly Panel[]): void {
  const refresh = new URLSearchParams(location.peek().search).get("refresh");
  const query = encodePanels(next) + (refresh ? `${next.length > 0 ? "&" : ""}refresh=${refresh}` : "");
  navigate("/query", query === "" ? "" : `?${query}`);
}

/** Replaces one panel. On an empty page this makes the first. */
export function setPanel(index: number, panel: Panel): void {
  const next = [...panels.peek()];
  next[index] = panel;
  write(next);
}

export function addPanel(): void {
  const last = panels.peek().at(-1);
  write([
    ...panels.peek(),
    { ...DEFAULT_PANEL, tab: last?.tab ?? "graph", rangeMs: last?.rangeMs ?? DEFAULT_PANEL.rangeMs },
  ]);
}

export function duplicatePanel(index: number, panel: Panel): void {
  ids.splice(index + 1, 0, nextId++);
  write(panels.peek().toSpliced(index, 1, panel, panel));
}

export function removePanel(index: number): void {
  ids.splice(index, 1);
  write(panels.peek().toSpliced(index, 1));
}

export const mayAddPanels = computed(() => panels.value.length < PANELS_MAX);
