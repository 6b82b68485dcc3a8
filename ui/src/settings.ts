// What a person chose in this browser. Everything that describes what is shown lives in the URL instead.

import { computed, effect, type Signal, signal } from "@preact/signals";
import type { Zone } from "./format/time";

export type Theme = "auto" | "light" | "dark";

const PREFIX = "promontory.";

/** Reads a stored value; private windows and full disks have no storage, and then the default holds. */
export function readStored<T>(name: string, check: (value: unknown) => value is T, fallback: T): T {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
    return check(value) ? value : fallback;
  } catch {
    return fallback;
  }
}

export function store(name: string, value: unknown): void {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Kept for this visit only.
  }
}

function stored<T>(name: string, check: (value: unknown) => value is T, fallback: T): Signal<T> {
  const value = signal(readStored(name, check, fallback));
  effect(() => store(name, value.value));
  return value;
}

const isTheme = (value: unknown): value is Theme => value === "auto" || value === "light" || value === "dark";
const isZone = (value: unknown): value is Zone => value === "local" || value === "utc";
const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";

export const theme = stored<Theme>("theme", isTheme, "auto");
export const zone = stored<Zone>("zone", isZone, "local");
/** Shortcuts of one key can be in the way of speech input, so they can be turned off (WCAG 2.1.4). */
export const singleKeys = stored("singleKeys", isBoolean, true);
export const keepHistory = stored("keepHistory", isBoolean, true);

const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", (event) => {
  systemIsDark.value = event.matches;
});

export const isDark = computed(() => (theme.value === "auto" ? systemIsDark.value : theme.value === "dark"));

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
