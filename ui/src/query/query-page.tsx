// The query page: panels below one another, or a suggestion where there are none.

import { useEffect } from "preact/hooks";
import { Icon } from "../controls/icons";
import { RefreshControl } from "../controls/refresh-control";
import { pageInterval } from "../refresh";
import { QueryPanel } from "./query-panel";
import { addPanel, mayAddPanels, panelIds, panels, setPanel } from "./state";
import { found, suggestedPanel, useSuggestions } from "./suggestions";

/** A suggestion is drawn anew this often: on a fresh server each scrape adds a visible piece. */
const SUGGESTION_MS = 5_000;

export function QueryPage() {
  const decoded = panels.value;
  const suggesting = decoded.length === 0;
  useSuggestions(suggesting);
  useEffect(() => {
    pageInterval.value = suggesting ? SUGGESTION_MS : 0;
    return () => {
      pageInterval.value = 0;
    };
  }, [suggesting]);
  const shown = suggesting ? [suggestedPanel(found.value.best)] : decoded;
  const ids = panelIds(shown.length);
  return (
    <div class="page">
      <h1 class="visually-hidden">Query</h1>
      <div class="page-bar">
        {suggesting ? <Suggestion /> : <span class="grow" />}
        <RefreshControl />
      </div>
      {shown.map((panel, index) => (
        <QueryPanel key={ids[index]} index={index} panel={panel} suggested={suggesting} />
      ))}
      {!suggesting && mayAddPanels.value && (
        <button type="button" class="button" onClick={addPanel}>
          <Icon name="plus" />
          Add query
        </button>
      )}
    </div>
  );
}

function Suggestion() {
  const { best, all } = found.value;
  if (!best) {
    return (
      <p class="suggestion grow" data-suggestion="waiting">
        <span class="spinner" aria-hidden="true" />
        Waiting for the first scrape; a chart appears here as soon as there are data.
      </p>
    );
  }
  return (
    <div class="suggestion grow" data-suggestion={best.metric}>
      <span>
        <strong>Suggestion:</strong> {best.title}
      </span>
      <span class="muted">Others:</span>
      {all
        .filter((other) => other !== best)
        .map((other) => (
          <button
            type="button"
            class="chip"
            key={other.metric}
            onClick={() => setPanel(0, suggestedPanel(other))}
          >
            {other.title}
          </button>
        ))}
    </div>
  );
}
