// The HTTP API: one function that asks, one kind of error.

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { BASE } from "../base";

/** The API said no, or did not speak at all (`kind` "unreachable"). */
export class ApiError extends Error {
  override name = "ApiError";
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface Answer<T> {
  readonly data: T;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  /** From asking to having read the answer. */
  readonly ms: number;
}

/** Raised each time that the server could not be reached or was not ready; `server.ts` then looks what is up. */
export const troubles = signal(0);

/** Longer queries go in the body: proxies cut addresses from about 2 kB on. */
const URL_CHARS_MAX = 1_800;

export type Params = Readonly<Record<string, string | readonly string[] | undefined>>;

function encode(params: Params): string {
  const encoded = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    for (const one of typeof value === "string" ? [value] : value) encoded.append(name, one);
  }
  return encoded.toString();
}

/** Asks `/api/v1/<path>`. Only query-like endpoints, which also take POST, may have long parameters. */
export async function ask<T>(path: string, params: Params, signal: AbortSignal): Promise<Answer<T>> {
  const started = performance.now();
  const encoded = encode(params);
  const url = `${BASE}/api/v1/${path}`;
  const post = encoded.length > URL_CHARS_MAX;
  let response: Response;
  try {
    response = await fetch(encoded === "" || post ? url : `${url}?${encoded}`, {
      method: post ? "POST" : "GET",
      body: post ? new URLSearchParams(encoded) : null,
      headers: { Accept: "application/json" },
      cache: "no-store",
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    troubles.value++;
    throw new ApiError("unreachable", "The server did not answer.");
  }
  const answer = await readJson(response, signal);
  if (response.status === 503 && answer === null) troubles.value++;
  if (answer === null || (answer.status !== "success" && answer.status !== "error")) {
    throw new ApiError(
      "unreadable",
      `The server answered ${response.status} ${response.statusText} instead of a result.`,
    );
  }
  if (answer.status === "error") {
    throw new ApiError(answer.errorType ?? "unknown", answer.error ?? "The server gave no reason.");
  }
  return {
    data: answer.data as T,
    warnings: answer.warnings ?? [],
    infos: answer.infos ?? [],
    ms: performance.now() - started,
  };
}

interface Envelope {
  status?: string;
  data?: unknown;
  errorType?: string;
  error?: string;
  warnings?: string[];
  infos?: string[];
}

async function readJson(response: Response, signal: AbortSignal): Promise<Envelope | null> {
  try {
    const answer: unknown = await response.json();
    return typeof answer === "object" ? answer : null;
  } catch (error) {
    if (signal.aborted) throw error;
    return null;
  }
}

export interface Request<T> {
  /** The last answer, kept while a newer one is on its way. */
  readonly data: T | undefined;
  readonly error: Error | undefined;
  readonly loading: boolean;
}

/** Runs `run` whenever `key` changes, abandons what is still under way, and does nothing while `key` is null. */
export function useRequest<T>(key: string | null, run: (signal: AbortSignal) => Promise<T>): Request<T> {
  const [state, setState] = useState<Request<T>>({
    data: undefined,
    error: undefined,
    loading: key !== null,
  });
  // The key stands for everything that `run` reads.
  useEffect(() => {
    if (key === null) {
      setState({ data: undefined, error: undefined, loading: false });
      return;
    }
    const controller = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    run(controller.signal).then(
      (data) => !controller.signal.aborted && setState({ data, error: undefined, loading: false }),
      (error: unknown) => {
        if (controller.signal.aborted) return;
        const reason = error instanceof Error ? error : new Error(String(error));
        setState((before) => ({ data: before.data, error: reason, loading: false }));
      },
    );
    return () => controller.abort();
  }, [key]);
  return state;
}
