// Choosing from the queries of before.

import { useState } from "preact/hooks";
import { Dialog } from "../controls/dialog";
import { Icon } from "../controls/icons";
import { keepHistory } from "../settings";
import { forget, forgetAll, history, matching } from "./history";

export function HistoryDialog({ onChoose, onClose }: { onChoose(expr: string): void; onClose(): void }) {
  const [search, setSearch] = useState("");
  const entries = matching(history.value, search);
  return (
    <Dialog title="Query history" onClose={onClose}>
      <div class="history-head">
        <input
          class="input"
          type="search"
          aria-label="Search the history"
          placeholder="Search"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <label class="check">
          <input
            type="checkbox"
            checked={keepHistory.value}
            onChange={(event) => {
              keepHistory.value = event.currentTarget.checked;
            }}
          />
          Keep
        </label>
        <button type="button" class="button" disabled={history.value.length === 0} onClick={forgetAll}>
          Clear
        </button>
      </div>
      {entries.length === 0 ? (
        <p class="muted">
          {search === ""
            ? "Queries that you run are kept here, in this browser only."
            : "None has these words."}
        </p>
      ) : (
        <ul class="history">
          {entries.map((expr) => (
            <li key={expr}>
              <button
                type="button"
                class="history-entry"
                onClick={() => {
                  onChoose(expr);
                  onClose();
                }}
              >
                {expr}
              </button>
              <button
                type="button"
                class="button quiet icon-only"
                aria-label={`Forget ${expr}`}
                onClick={() => forget(expr)}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
