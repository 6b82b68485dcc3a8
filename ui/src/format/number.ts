// Numbers as people read them on axes, in tooltips and in the legend. Tables show the server's own text.

/** What a value measures, as far as its metric's name tells. */
export type Unit = "none" | "bytes" | "seconds" | "percent";

/** The unit that all of these metric names share by Prometheus's naming rules, or "none". */
export function unitOfNames(names: readonly string[]): Unit {
  const units = new Set(names.map(unitOfName));
  const [only] = units;
  return units.size === 1 && only ? only : "none";
}

function unitOfName(metric: string): Unit {
  const name = metric.replace(/_total$/, "");
  if (name.endsWith("_bytes")) return "bytes";
  if (name.endsWith("_percent")) return "percent";
  // A point in time is counted in seconds as well, but "20781d" says nothing.
  if (/(timestamp|boot_time|start_time|last_.*)_seconds$/.test(name)) return "none";
  return name.endsWith("_seconds") ? "seconds" : "none";
}

const SI = ["y", "z", "a", "f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E", "Z", "Y"];
const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/** A short text of a value: 1.5k, 20m, 3.2MiB, 250ms. `digits` are significant digits. */
export function shortNumber(value: number, unit: Unit = "none", digits = 4): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value === 0)
    return unit === "bytes" ? "0B" : unit === "seconds" ? "0s" : unit === "percent" ? "0%" : "0";
  const size = Math.abs(value);
  switch (unit) {
    case "bytes": {
      const power = Math.min(BINARY.length - 1, Math.max(0, Math.floor(Math.log2(size) / 10)));
      return `${significant(value / 1024 ** power, digits)}${BINARY[power]}B`;
    }
    case "seconds":
      return seconds(value, digits);
    case "percent":
      return `${significant(value, digits)}%`;
    case "none":
      return scaled(value, digits);
  }
}

function seconds(value: number, digits: number): string {
  const size = Math.abs(value);
  if (size >= 86_400) return `${significant(value / 86_400, digits)}d`;
  if (size >= 7_200) return `${significant(value / 3_600, digits)}h`;
  if (size >= 120) return `${significant(value / 60, digits)}m`;
  if (size >= 1) return `${significant(value, digits)}s`;
  return `${scaled(value, digits)}s`;
}

function scaled(value: number, digits: number): string {
  // 0.25 is read more easily than 250m; from a hundredth down the prefix wins.
  const size = Math.abs(value);
  if (size >= 0.01 && size < 1_000) return significant(value, digits);
  const power = Math.floor(Math.log10(size) / 3);
  const prefix = SI[power + 8];
  if (prefix === undefined) return value.toExponential(Math.max(0, digits - 1));
  return `${significant(value / 1000 ** power, digits)}${prefix}`;
}

function significant(value: number, digits: number): string {
  return String(Number(value.toPrecision(digits)));
}

/**
 * Texts for the ticks of one axis. All have as many digits as it takes to tell neighbours apart, so
 * that 0.1 and 0.15 never both read 0.1; bytes are all in the unit of the largest.
 */
export function tickTexts(ticks: readonly number[], unit: Unit): string[] {
  const power = binaryPower(ticks);
  for (let digits = 3; digits < 10; digits++) {
    const texts = ticks.map((tick) =>
      unit === "bytes" && tick !== 0
        ? `${significant(tick / 1024 ** power, digits)}${BINARY[power]}B`
        : shortNumber(tick, unit, digits),
    );
    if (new Set(texts).size === texts.length) return texts;
  }
  return ticks.map(String);
}

function binaryPower(values: readonly number[]): number {
  const largest = Math.max(1, ...values.map(Math.abs));
  return Math.min(BINARY.length - 1, Math.floor(Math.log2(largest) / 10));
}

const DECIMAL_STEPS = Array.from({ length: 49 }, (_, i) => i - 24).flatMap((power) =>
  [1, 2, 2.5, 5].map((factor) => Number(`${factor}e${power}`)),
);

/** Distances between ticks that give round texts on an axis from `min` to `max`. */
export function tickSteps(unit: Unit, min: number, max: number): number[] {
  if (unit !== "bytes") return DECIMAL_STEPS;
  const size = 1024 ** binaryPower([min, max]);
  // No axis has parts of a byte.
  return DECIMAL_STEPS.map((step) => step * size).filter((step) => step >= 1);
}

/** Whole numbers with thousands set apart by a thin space: 393 000. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** "1 series", "2 series"; "1 row", "2 rows". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
