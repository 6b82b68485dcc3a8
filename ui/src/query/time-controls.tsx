// Which time a panel shows: range, end, resolution.

import { Icon } from "../controls/icons";
import { TextInput } from "../controls/text-input";
import { formatDuration, parseDuration } from "../format/duration";
import { formatTime, parseTime } from "../format/time";
import { zone } from "../settings";
import { DEFAULT_PANEL, nextRange, type Panel, previousRange, type Resolution, stepMs } from "./panel";

interface Props {
  panel: Panel;
  onChange(changes: Partial<Panel>): void;
}

export function RangeControl({ panel, onChange }: Props) {
  const set = (rangeMs: number) => onChange({ rangeMs });
  return (
    <div class="joined">
      <button
        type="button"
        class="button icon-only"
        aria-label="Shorter range"
        title="Shorter range"
        onClick={() => set(previousRange(panel.rangeMs))}
      >
        <Icon name="minus" />
      </button>
      <TextInput
        class="input-range"
        label="Range"
        value={formatDuration(panel.rangeMs)}
        onCommit={(text) => {
          const ms = parseDuration(text);
          if (ms) set(ms);
          return Boolean(ms);
        }}
      />
      <button
        type="button"
        class="button icon-only"
        aria-label="Longer range"
        title="Longer range"
        onClick={() => set(nextRange(panel.rangeMs))}
      >
        <Icon name="plus" />
      </button>
    </div>
  );
}

/** The end of the graph or the time of the table. Empty is now. */
export function TimeControl({ panel, onChange }: Props) {
  const graph = panel.tab === "graph";
  const what = graph ? "End time" : "Evaluation time";
  // The graph moves by half of what it shows, the table as well: switching tabs does not change the pace.
  const move = (sign: number) => {
    const now = Date.now();
    const from = panel.endMs ?? now;
    onChange({ endMs: Math.round((from + (sign * panel.rangeMs) / 2) / 1_000) * 1_000 });
  };
  return (
    <div class="joined">
      <button
        type="button"
        class="button icon-only"
        aria-label={`${what}: earlier`}
        title="Earlier"
        onClick={() => move(-1)}
      >
        <Icon name="left" />
      </button>
      <TextInput
        class="input-time"
        label={`${what} (${zone.value === "utc" ? "UTC" : "local time"})`}
        placeholder={graph ? "End: now" : "At: now"}
        value={panel.endMs === null ? "" : formatTime(panel.endMs, zone.value)}
        onCommit={(text) => {
          const endMs = text === "" || text === "now" ? null : parseTime(text, zone.value);
          if (endMs === null && text !== "" && text !== "now") return false;
          onChange({ endMs });
          return true;
        }}
      />
      {panel.endMs !== null && (
        <button
          type="button"
          class="button"
          title="Follow the clock"
          onClick={() => onChange({ endMs: null })}
        >
          Now
        </button>
      )}
      <button
        type="button"
        class="button icon-only"
        aria-label={`${what}: later`}
        title="Later"
        onClick={() => move(1)}
      >
        <Icon name="right" />
      </button>
    </div>
  );
}

const FIXED_S = [1, 5, 10, 15, 30, 60, 300, 900, 3_600, 21_600, 86_400];

export function ResolutionControl({ panel, onChange }: Props) {
  const { resolution, rangeMs } = panel;
  const set = (next: Resolution) => onChange({ resolution: next });
  const value =
    resolution.type === "auto"
      ? resolution.density
      : resolution.type === "fixed"
        ? String(resolution.stepMs / 1_000)
        : "custom";
  const fixed =
    resolution.type === "fixed" && !FIXED_S.includes(resolution.stepMs / 1_000)
      ? [...FIXED_S, resolution.stepMs / 1_000]
      : FIXED_S;
  return (
    <div class="joined">
      <select
        class="input"
        aria-label="Resolution"
        title="Resolution: the time between points"
        value={value}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          if (chosen === "low" || chosen === "medium" || chosen === "high")
            set({ type: "auto", density: chosen });
          else if (chosen === "custom") set({ type: "custom", stepMs: stepMs(resolution, rangeMs) });
          else set({ type: "fixed", stepMs: Number(chosen) * 1_000 });
        }}
      >
        <optgroup label="Automatic">
          <option value="low">Res. low</option>
          <option value="medium">Res. medium</option>
          <option value="high">Res. high</option>
        </optgroup>
        <optgroup label="Fixed step">
          {fixed.map((seconds) => (
            <option key={seconds} value={String(seconds)}>
              Step {formatDuration(seconds * 1_000)}
            </option>
          ))}
        </optgroup>
        <option value="custom">Step…</option>
      </select>
      {resolution.type === "custom" && (
        <TextInput
          class="input-range"
          label="Step"
          value={formatDuration(resolution.stepMs)}
          onCommit={(text) => {
            if (text === "") {
              set(DEFAULT_PANEL.resolution);
              return true;
            }
            const ms = parseDuration(text);
            if (ms) set({ type: "custom", stepMs: ms });
            return Boolean(ms);
          }}
        />
      )}
    </div>
  );
}
