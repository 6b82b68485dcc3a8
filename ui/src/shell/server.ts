// How the server is: starting, ready, stopping or gone; whether its configuration was taken; whether its
// clock agrees with ours.

import { effect, signal } from "@preact/signals";
import { ask, troubles } from "../api/client";
import { BASE } from "../base";
import { refreshNow } from "../refresh";

export type Readiness = "unknown" | "ready" | "starting" | "stopping" | "unreachable";

export interface Replay {
  readonly min: number;
  readonly max: number;
  readonly current: number;
}

export const readiness = signal<Readiness>("unknown");
export const replay = signal<Replay | null>(null);
export const reloadFailed = signal(false);
/** What else the server says is wrong with it. */
export const complaints = signal<readonly string[]>([]);
/** Milliseconds that the server's clock is ahead of this one's, when that is enough to mislead. */
export const clockSkew = signal(0);

const SKEW_MS_MAX = 30_000;
const POLL_MS = 1_000;
const HEALTH_MS = 30_000;
/** More would push the page away. */
const COMPLAINTS_MAX = 5;

async function readReadiness(): Promise<Readiness> {
  try {
    const response = await fetch(`${BASE}/-/ready`, { cache: "no-store" });
    if (response.ok) return "ready";
    if (response.status !== 503) return "unreachable";
    return response.headers.get("X-Prometheus-Stopping") === "true" ? "stopping" : "starting";
  } catch {
    return "unreachable";
  }
}

async function readReplay(): Promise<Replay | null> {
  try {
    return (await ask<Replay>("status/walreplay", {}, AbortSignal.timeout(5_000))).data;
  } catch {
    return null;
  }
}

interface RuntimeInfo {
  reloadConfigSuccess?: boolean;
  serverTime?: string;
}

async function readHealth(): Promise<void> {
  try {
    const { data } = await ask<RuntimeInfo>("status/runtimeinfo", {}, AbortSignal.timeout(10_000));
    reloadFailed.value = data.reloadConfigSuccess === false;
    const skew = Date.parse(data.serverTime ?? "") - Date.now();
    clockSkew.value = Math.abs(skew) > SKEW_MS_MAX ? Math.round(skew / 1_000) * 1_000 : 0;
  } catch {
    // Whoever shows data says what went wrong.
  }
}

/** Told in other words by this page. */
const KNOWN = /^(Prometheus is |Configuration reload has failed)/;

interface Notification {
  text?: string;
}

async function readComplaints(): Promise<void> {
  try {
    const { data } = await ask<Notification[]>("notifications", {}, AbortSignal.timeout(10_000));
    const texts = data.map((one) => one.text ?? "").filter((text) => text !== "" && !KNOWN.test(text));
    complaints.value = texts.slice(0, COMPLAINTS_MAX);
  } catch {
    // Whoever shows data says what went wrong.
  }
}

let polling = false;

/** Looks until the server is ready, then has every page ask again. */
async function pollUntilReady(): Promise<void> {
  if (polling) return;
  polling = true;
  let waited = false;
  for (;;) {
    const state = await readReadiness();
    replay.value = state === "starting" ? await readReplay() : null;
    readiness.value = state;
    if (state === "ready") break;
    waited = true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  polling = false;
  void readHealth();
  void readComplaints();
  if (waited) refreshNow();
}

export function watchServer(): void {
  void pollUntilReady();
  effect(() => {
    if (troubles.value > 0) void pollUntilReady();
  });
  setInterval(() => {
    if (document.hidden || readiness.peek() !== "ready") return;
    void readHealth();
    void readComplaints();
  }, HEALTH_MS);
}
