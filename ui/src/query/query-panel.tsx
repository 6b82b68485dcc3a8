// One query: its expression, how it is shown, and the result.

import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "../api/client";
import { Icon } from "../controls/icons";
import { Menu } from "../controls/menu";
import { Segments } from "../controls/segments";
import { ExpressionEditor } from "../editor/expression-editor";
import { addShortcut } from "../shell/keys";
import { GraphTab } from "./graph-tab";
import { remember } from "./history";
import { HistoryDialog } from "./history-dialog";
import { nextRange, type Panel, type Tab } from "./panel";
import { duplicatePanel, removePanel, setPanel } from "./state";
import { TableTab } from "./table-tab";
import { RangeControl, ResolutionControl, TimeControl } from "./time-controls";

interface Props {
  index: number;
  panel: Panel;
  /** Not in the URL yet: a suggestion. */
  suggested: boolean;
}

/** A view to come back to after zooming. */
type View = Pick<Panel, "rangeMs" | "endMs">;

/** Zooming in further shows the same point. */
const RANGE_MS_MIN = 1_000;

export function QueryPanel({ index, panel, suggested }: Props) {
  const [draft, setDraft] = useState(panel.expr);
  const [run, setRun] = useState(0);
  const [views, setViews] = useState<readonly View[]>([]);
  const [historyOpen, setHistoryOpen] = useState(false);
  const [formatError, setFormatError] = useState<string | null>(null);
  // What a person types must survive a suggestion that arrives meanwhile.
  const touched = useRef(false);
  const root = useRef<HTMLElement>(null);

  useEffect(() => {
    if (!(suggested && touched.current)) setDraft(panel.expr);
  }, [panel.expr, suggested]);

  const change = (changes: Partial<Panel>) =>
    setPanel(index, { ...panel, expr: draft.trim() === "" ? panel.expr : draft, ...changes });
  const execute = (expr = draft) => {
    remember(expr);
    setFormatError(null);
    if (expr === panel.expr && !suggested) setRun(run + 1);
    else setPanel(index, { ...panel, expr });
  };
  const zoomTo = (view: View) => {
    setViews([...views, { rangeMs: panel.rangeMs, endMs: panel.endMs }]);
    change(view);
  };
  const zoomBack = () => {
    const last = views.at(-1);
    if (!last) return;
    setViews(views.slice(0, -1));
    change(last);
  };
  const format = async () => {
    try {
      const { data } = await ask<string>("format_query", { query: draft }, AbortSignal.timeout(10_000));
      touched.current = true;
      setDraft(data);
      setFormatError(null);
    } catch (error) {
      setFormatError(error instanceof Error ? error.message : String(error));
    }
  };

  useEffect(() => {
    if (index !== 0) return;
    const focus = addShortcut({
      keys: "/",
      does: "Write a query",
      run: () => root.current?.querySelector<HTMLElement>(".cm-content, textarea")?.focus(),
    });
    return focus;
  }, [index]);
  const zoomBackNow = useRef(zoomBack);
  zoomBackNow.current = zoomBack;
  useEffect(() => {
    if (index !== 0) return;
    return addShortcut({ keys: "z", does: "Zoom back (first panel)", run: () => zoomBackNow.current() });
  }, [index]);

  const graph = panel.tab === "graph";
  return (
    <section class="panel" ref={root} aria-label={`Query ${index + 1}`}>
      <div class="panel-query">
        <ExpressionEditor
          label={`Expression ${index + 1}`}
          value={draft}
          onChange={(text) => {
            touched.current = touched.current || text !== panel.expr;
            setDraft(text);
          }}
          onRun={() => execute()}
        />
        <button type="button" class="button primary" onClick={() => execute()} title="Run the query (Enter)">
          Execute
        </button>
        <Menu
          class="button icon-only"
          label={`More for query ${index + 1}`}
          face={<Icon name="more" />}
          align="right"
        >
          <button type="button" onClick={() => void format()} disabled={draft.trim() === ""}>
            Format expression
          </button>
          <button type="button" onClick={() => setHistoryOpen(true)}>
            History
          </button>
          <button type="button" onClick={() => duplicatePanel(index, { ...panel, expr: draft })}>
            Duplicate
          </button>
          <button type="button" onClick={() => removePanel(index)} disabled={suggested}>
            Remove
          </button>
        </Menu>
      </div>
      {formatError !== null && (
        <p class="notice notice-error" role="alert">
          <strong>The expression cannot be formatted.</strong> {formatError}
        </p>
      )}
      <div class="panel-controls">
        <Segments<Tab>
          label="View"
          value={panel.tab}
          options={[
            ["table", "Table"],
            ["graph", "Graph"],
          ]}
          onChange={(tab) => change({ tab })}
        />
        {graph && <RangeControl panel={panel} onChange={change} />}
        <TimeControl panel={panel} onChange={change} />
        {graph && (
          <>
            <ResolutionControl panel={panel} onChange={change} />
            <Segments<"lines" | "stacked">
              label="Drawing"
              value={panel.displayMode === "stacked" ? "stacked" : "lines"}
              options={[
                ["lines", "Lines"],
                ["stacked", "Stacked"],
              ]}
              onChange={(displayMode) => change({ displayMode })}
            />
            <button
              type="button"
              class="button toggle"
              aria-pressed={panel.yAxisMin !== null}
              title="Let the y axis begin at zero"
              onClick={() => change({ yAxisMin: panel.yAxisMin === null ? 0 : null })}
            >
              {panel.yAxisMin === null || panel.yAxisMin === 0 ? "From 0" : `From ${panel.yAxisMin}`}
            </button>
            {views.length > 0 && (
              <button
                type="button"
                class="button"
                title="Back to the view before zooming (z)"
                onClick={zoomBack}
              >
                <Icon name="undo" />
                Zoom back
              </button>
            )}
          </>
        )}
      </div>
      <div class="panel-result">
        {graph ? (
          <GraphTab
            panel={panel}
            run={run}
            fit={suggested}
            onZoom={(start, end) => {
              const rangeMs = Math.max(RANGE_MS_MIN, Math.round((end - start) / 1_000) * 1_000);
              zoomTo({ rangeMs, endMs: Math.round(end / 1_000) * 1_000 });
            }}
            onZoomOut={() => {
              const rangeMs = nextRange(panel.rangeMs);
              // The middle stays where it is; what follows the clock goes on doing so.
              const endMs =
                panel.endMs === null
                  ? null
                  : panel.endMs + Math.round((rangeMs - panel.rangeMs) / 2_000) * 1_000;
              zoomTo({ rangeMs, endMs });
            }}
          />
        ) : (
          <TableTab panel={panel} run={run} />
        )}
      </div>
      {historyOpen && (
        <HistoryDialog
          onClose={() => setHistoryOpen(false)}
          onChoose={(expr) => {
            setDraft(expr);
            execute(expr);
          }}
        />
      )}
    </section>
  );
}
