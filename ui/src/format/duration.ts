// Durations as Prometheus writes them ("1d2h30m"), in milliseconds.

/** Largest first: a duration names each unit at most once, in this order. */
const UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ["y", 365 * 86_400_000],
  ["w", 7 * 86_400_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

/** Milliseconds of a Prometheus duration text, or null when it is none. "0" needs no unit. */
export function parseDuration(text: string): number | null {
  if (text === "0") return 0;
  const part = /(\d+)(ms|[ywdhms])/y;
  let total = 0;
  let largestAllowed = 0;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (!match) return null;
    const index = UNITS.findIndex(([unit]) => unit === match[2]);
    const unit = UNITS[index];
    if (!unit || index < largestAllowed) return null;
    total += Number(match[1]) * unit[1];
    largestAllowed = index + 1;
  }
  return text === "" || !Number.isSafeInteger(total) ? null : total;
}

interface Part {
  amount: number;
  unit: string;
}

function split(ms: number, smallest: string): Part[] {
  const parts: Part[] = [];
  let rest = ms;
  for (const [unit, size] of UNITS) {
    // Years and weeks only when nothing is left over: "90d" reads better than "12w6d".
    if ((unit === "y" || unit === "w") && rest % size !== 0) continue;
    const amount = unit === smallest ? rest / size : Math.floor(rest / size);
    if (amount > 0) parts.push({ amount, unit });
    rest -= amount * size;
    if (unit === smallest) break;
  }
  return parts;
}

/** "1h30m": what `parseDuration` reads back. Fractions of a millisecond are rounded away. */
export function formatDuration(ms: number): string {
  const whole = Math.round(Math.abs(ms));
  if (whole === 0) return "0s";
  const text = split(whole, "ms")
    .map((part) => `${part.amount}${part.unit}`)
    .join("");
  return ms < 0 ? `-${text}` : text;
}

/** For reading, not for parsing: "1h 30m 2.5s", "12ms", "0.4ms". */
export function humanizeDuration(ms: number): string {
  const size = Math.abs(ms);
  const sign = ms < 0 ? "-" : "";
  if (size === 0) return "0s";
  if (size < 1_000) return `${sign}${Number(size.toPrecision(3))}ms`;
  const text = split(Math.round(size), "s")
    .map((part) => `${Number(part.amount.toFixed(3))}${part.unit}`)
    .join(" ");
  return sign + text;
}

/** How long ago, in one or two units, for columns of times: "4s", "3m", "2h 5m", "6d". */
export function coarseDuration(ms: number): string {
  const size = Math.max(0, ms);
  if (size < 60_000) return `${(size / 1_000).toFixed(size < 10_000 ? 1 : 0)}s`;
  if (size < 3_600_000) return `${Math.floor(size / 60_000)}m ${Math.floor((size % 60_000) / 1_000)}s`;
  if (size < 86_400_000)
    return `${Math.floor(size / 3_600_000)}h ${Math.floor((size % 3_600_000) / 60_000)}m`;
  return `${Math.floor(size / 86_400_000)}d ${Math.floor((size % 86_400_000) / 3_600_000)}h`;
}
