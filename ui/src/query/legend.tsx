// Which line is which. Scrolls instead of pushing the page away.

import { useMemo, useState } from "preact/hooks";
import type { Column } from "../chart/align";
import { seriesColor } from "../chart/palette";
import { count, shortNumber, type Unit } from "../format/number";
import { commonLabels, type Labels, seriesText } from "../format/series";
import { isDark } from "../settings";
import { SeriesName } from "./series-name";

/** More entries cost more than they tell; the rest comes on demand. */
const ENTRIES_FIRST = 100;

interface Props {
  labels: readonly Labels[];
  columns: readonly Column[];
  shown: readonly boolean[];
  unit: Unit;
  /** The series that the chart points at. */
  pointed: number | null;
  onShown(shown: boolean[]): void;
  onHover(series: number | null): void;
}

export function Legend({ labels, columns, shown, unit, pointed, onShown, onHover }: Props) {
  const [all, setAll] = useState(false);
  const hidden = useMemo(() => commonLabels(labels), [labels]);
  const visible = all ? labels : labels.slice(0, ENTRIES_FIRST);
  const isolate = (series: number) => {
    const alone = shown.every((is, index) => is === (index === series));
    onShown(shown.map((_, index) => alone || index === series));
  };
  return (
    <div class="legend">
      <ul>
        {visible.map((one, index) => {
          const text = seriesText(one);
          const last = columns[index]?.findLast((value) => value !== null);
          return (
            <li
              key={text}
              class={pointed === index ? "pointed" : undefined}
              data-hidden={!shown[index]}
              onMouseEnter={() => onHover(index)}
              onMouseLeave={() => onHover(null)}
            >
              <button
                type="button"
                class="legend-toggle"
                aria-pressed={shown[index]}
                aria-label={`Show ${text}`}
                title={shown[index] ? "Hide this series" : "Show this series"}
                onClick={() => onShown(shown.map((is, at) => (at === index ? !is : is)))}
              >
                <span class="swatch" style={{ "--swatch": seriesColor(index, isDark.value) }} />
              </button>
              <button
                type="button"
                class="legend-name"
                title={`${text}\nClick to show only this series, again for all`}
                onClick={() => isolate(index)}
              >
                <SeriesName labels={one} hidden={hidden} />
              </button>
              <span class="legend-last">{last == null ? "" : shortNumber(last, unit)}</span>
            </li>
          );
        })}
      </ul>
      {visible.length < labels.length && (
        <button type="button" class="button" onClick={() => setAll(true)}>
          Show all {count(labels.length)} series
        </button>
      )}
    </div>
  );
}
