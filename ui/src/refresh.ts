// When pages ask again: by hand, on a timer that rests while nobody looks, and when the server is back.

import { computed, effect, signal } from "@preact/signals";
import { formatDuration, parseDuration } from "./format/duration";
import { location, navigate } from "./router";

/** Part of the key of every request that should be repeated. */
export const tick = signal(0);

/** Milliseconds; what the page asks for while the person has chosen nothing (0 is never). */
export const pageInterval = signal(0);

/** Milliseconds, from the URL; 0 is off. Below a second a mistyped link would flood the server. */
export const chosenInterval = computed(() => {
  const text = new URLSearchParams(location.value.search).get("refresh");
  const ms = parseDuration(text ?? "") ?? 0;
  return ms >= 1_000 ? ms : 0;
});

export const interval = computed(() => chosenInterval.value || pageInterval.value);

export function chooseInterval(ms: number): void {
  const { path, search } = location.peek();
  const params = new URLSearchParams(search);
  if (ms === 0) params.delete("refresh");
  else params.set("refresh", formatDuration(ms));
  const query = params.toString();
  navigate(path, query === "" ? "" : `?${query}`, "replace");
}

let last = Date.now();

export function refreshNow(): void {
  last = Date.now();
  tick.value++;
}

effect(() => {
  const every = interval.value;
  if (every === 0) return;
  const timer = setInterval(() => {
    if (!document.hidden && Date.now() - last >= every - 50) refreshNow();
  }, every);
  const whenSeen = () => {
    if (!document.hidden && Date.now() - last >= every) refreshNow();
  };
  document.addEventListener("visibilitychange", whenSeen);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", whenSeen);
  };
});
