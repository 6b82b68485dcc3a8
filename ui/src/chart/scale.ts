// Where axes begin and end and what stands beside their ticks.

import { wallClock, type Zone } from "../format/time";

/** The y axis for values from `min` to `max`, both null when there are none. `floor` is a person's own lower end. */
export function yRange(min: number | null, max: number | null, floor: number | null): [number, number] {
  if (min === null || max === null) return floor === null ? [0, 1] : [floor, floor + 1];
  let [low, high] = [min, max];
  if (low === high) {
    // A flat line stands in the middle, with zero in sight where that is possible.
    low = Math.min(0, 2 * min);
    high = Math.max(0, 2 * max);
    if (low === high) high = 1;
  } else {
    const margin = (high - low) * 0.06;
    // Small values close to zero: show the zero, not a cut-off axis.
    low = min >= 0 && min - margin < max * 0.2 ? 0 : min - margin;
    high = max <= 0 && max + margin > min * 0.2 ? 0 : max + margin;
  }
  if (floor !== null) low = floor;
  return low < high ? [low, high] : [low, low + 1];
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_S = 86_400;

/** Texts for ticks at Unix seconds, `stepS` apart. The date stands where it changes, and under the first tick. */
export function timeTicks(ticks: readonly number[], stepS: number, zone: Zone): string[] {
  const pad = (value: number) => String(value).padStart(2, "0");
  let shownDay = "";
  return ticks.map((tick) => {
    const at = wallClock(Math.round(tick * 1_000), zone);
    const date = `${MONTHS[at.month - 1]} ${at.day}`;
    if (stepS >= 28 * DAY_S) return `${MONTHS[at.month - 1]} ${at.year}`;
    if (stepS >= DAY_S) return date;
    let time = `${pad(at.hour)}:${pad(at.minute)}`;
    if (stepS < 60) time += `:${pad(at.second)}`;
    if (stepS < 1) time += `.${String(at.ms).padStart(3, "0")}`;
    const text = date === shownDay ? time : `${time}\n${date}`;
    shownDay = date;
    return text;
  });
}
