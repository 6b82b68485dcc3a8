// A series' labels, set so that names and values can be told apart at a glance.

import { type Labels, labelName, labelPairs } from "../format/series";

const LEGACY_METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** As `seriesText`, but coloured; without the labels in `hidden`, unless nothing would be left. */
export function SeriesName({ labels, hidden }: { labels: Labels; hidden?: ReadonlySet<string> }) {
  let pairs = labelPairs(labels);
  let name = labels.__name__ ?? "";
  if (hidden) {
    const left = pairs.filter(([label]) => !hidden.has(label));
    const nameLeft = hidden.has("__name__") ? "" : name;
    if (left.length > 0 || nameLeft !== "") [pairs, name] = [left, nameLeft];
  }
  const bare = LEGACY_METRIC.test(name);
  return (
    <span class="series">
      {bare && <span class="series-metric">{name}</span>}
      {(pairs.length > 0 || !bare) && (
        <>
          {"{"}
          {name !== "" && !bare && (
            <span class="series-metric">
              "{name}"{pairs.length > 0 ? ", " : ""}
            </span>
          )}
          {pairs.map(([label, value], index) => (
            <span key={label}>
              {index > 0 && ", "}
              <span class="series-label">{labelName(label)}</span>=<span class="series-value">"{value}"</span>
            </span>
          ))}
          {"}"}
        </>
      )}
    </span>
  );
}
