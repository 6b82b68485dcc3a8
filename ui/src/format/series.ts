// Label sets as PromQL writes them.

export type Labels = Readonly<Record<string, string>>;

const LEGACY_METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LEGACY_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** The text between double quotes in PromQL. */
export function escapeString(text: string): string {
  return text.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\n");
}

export function labelName(name: string): string {
  return LEGACY_LABEL.test(name) ? name : `"${escapeString(name)}"`;
}

export function labelPair(name: string, value: string): string {
  return `${labelName(name)}="${escapeString(value)}"`;
}

/** All labels but the metric's name, as pairs, in the order that the server gave. */
export function labelPairs(labels: Labels): [name: string, value: string][] {
  return Object.entries(labels).filter(([name]) => name !== "__name__");
}

/** `up{job="x"}`, `{"with.dots", job="x"}` or `{}`: always a valid selector or the empty set. */
export function seriesText(labels: Labels): string {
  const name = labels.__name__ ?? "";
  const pairs = labelPairs(labels).map(([label, value]) => labelPair(label, value));
  if (name !== "" && !LEGACY_METRIC.test(name)) pairs.unshift(`"${escapeString(name)}"`);
  const head = LEGACY_METRIC.test(name) ? name : "";
  return pairs.length === 0 && head !== "" ? head : `${head}{${pairs.join(", ")}}`;
}

/** Labels that have the same value in every one of the sets; the legend leaves them out. */
export function commonLabels(sets: readonly Labels[]): Set<string> {
  const first = sets[0];
  if (!first || sets.length < 2) return new Set();
  return new Set(Object.keys(first).filter((name) => sets.every((labels) => labels[name] === first[name])));
}
