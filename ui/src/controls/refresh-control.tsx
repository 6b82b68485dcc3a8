// "Refresh", by hand or every so often.

import { formatDuration } from "../format/duration";
import { chooseInterval, chosenInterval, refreshNow } from "../refresh";
import { Icon } from "./icons";

const CHOICES_MS = [5_000, 15_000, 30_000, 60_000, 300_000];

export function RefreshControl() {
  const chosen = chosenInterval.value;
  const choices = chosen === 0 || CHOICES_MS.includes(chosen) ? CHOICES_MS : [...CHOICES_MS, chosen];
  return (
    <div class="joined">
      <button type="button" class="button" onClick={refreshNow} title="Refresh (r)">
        <Icon name="refresh" />
        <span>Refresh</span>
      </button>
      <select
        class="input"
        aria-label="Refresh automatically"
        title="Refresh automatically; rests while the page is hidden"
        value={String(chosen)}
        onChange={(event) => chooseInterval(Number(event.currentTarget.value))}
      >
        <option value="0">by hand</option>
        {choices.map((ms) => (
          <option key={ms} value={String(ms)}>
            every {formatDuration(ms)}
          </option>
        ))}
      </select>
    </div>
  );
}
