// What everybody should know about the server, above every page.

import { humanizeDuration } from "../format/duration";
import { clockSkew, complaints, readiness, reloadFailed, replay } from "./server";

export function Notices() {
  return (
    <div class="notices" aria-live="polite">
      <ReadinessNotice />
      {reloadFailed.value && (
        <p class="notice notice-error">
          <strong>The configuration was not taken.</strong> The last reload failed and the configuration
          before it is in force. The server's log says why.
        </p>
      )}
      {complaints.value.map((text) => (
        <p class="notice notice-error" key={text}>
          {text}
        </p>
      ))}
      {clockSkew.value !== 0 && (
        <p class="notice notice-warning">
          <strong>Clocks differ.</strong> The server's clock is {humanizeDuration(Math.abs(clockSkew.value))}{" "}
          {clockSkew.value > 0 ? "ahead of" : "behind"} this browser's: "now" means different times to them.
        </p>
      )}
    </div>
  );
}

function ReadinessNotice() {
  switch (readiness.value) {
    case "unknown":
    case "ready":
      return null;
    case "unreachable":
      return (
        <p class="notice notice-error">
          <strong>The server cannot be reached.</strong> This page tries again every second.
        </p>
      );
    case "stopping":
      return (
        <p class="notice notice-warning">
          <strong>The server is shutting down.</strong>
        </p>
      );
    case "starting":
      return (
        <div class="notice notice-warning">
          <strong>The server is starting.</strong> <ReplayProgress />
        </div>
      );
  }
}

function ReplayProgress() {
  const now = replay.value;
  if (!now || now.max <= now.min) return <>This page goes on by itself.</>;
  const done = now.current - now.min;
  const all = now.max - now.min;
  return (
    <label>
      Reading the write-ahead log: segment {now.current} of {now.max}
      <progress value={Math.max(0, done)} max={all} />
    </label>
  );
}
