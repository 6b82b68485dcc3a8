// Points in time as text. Times are Unix milliseconds; links carry them in UTC, people see them in the
// zone that they chose.

/** Only two zones: the browser's and UTC. A full list of zones would need a picker that few would use. */
export type Zone = "local" | "utc";

const pad = (value: number, width = 2): string => String(value).padStart(width, "0");

interface WallClock {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

export function wallClock(time: number, zone: Zone): WallClock {
  const date = new Date(time);
  return zone === "utc"
    ? {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
        hour: date.getUTCHours(),
        minute: date.getUTCMinutes(),
        second: date.getUTCSeconds(),
        ms: date.getUTCMilliseconds(),
      }
    : {
        year: date.getFullYear(),
        month: date.getMonth() + 1,
        day: date.getDate(),
        hour: date.getHours(),
        minute: date.getMinutes(),
        second: date.getSeconds(),
        ms: date.getMilliseconds(),
      };
}

/** "2026-11-24 02:31:44" with milliseconds only when there are any. */
export function formatTime(time: number, zone: Zone): string {
  const at = wallClock(time, zone);
  const seconds = at.ms === 0 ? pad(at.second) : `${pad(at.second)}.${pad(at.ms, 3)}`;
  return `${pad(at.year, 4)}-${pad(at.month)}-${pad(at.day)} ${pad(at.hour)}:${pad(at.minute)}:${seconds}`;
}

const TIME =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?$/i;

/** Unix milliseconds of a date and time, or null. Without an offset the text is read in `zone`. Unix seconds are read too. */
export function parseTime(text: string, zone: Zone): number | null {
  const trimmed = text.trim();
  if (/^\d{9,11}(\.\d+)?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
  const match = TIME.exec(trimmed);
  if (!match) return null;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const [hour, minute, second] = [Number(match[4] ?? 0), Number(match[5] ?? 0), Number(match[6] ?? 0)];
  const ms = match[7] ? Math.trunc(Number(`0.${match[7]}`) * 1000) : 0;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) return null;
  const offset = match[8];
  if (offset || zone === "utc") {
    const time = Date.UTC(year, month - 1, day, hour, minute, second, ms) - offsetMs(offset);
    // February 30th is a typing error, not March 2nd.
    return new Date(time + offsetMs(offset)).getUTCDate() === day ? time : null;
  }
  const local = new Date(year, month - 1, day, hour, minute, second, ms);
  return local.getDate() === day ? local.getTime() : null;
}

function offsetMs(offset: string | undefined): number {
  const match = /^([+-])(\d{2}):?(\d{2})$/.exec(offset ?? "");
  if (!match) return 0;
  const size = (Number(match[2]) * 60 + Number(match[3])) * 60_000;
  return match[1] === "-" ? -size : size;
}

/** "UTC", "UTC+2" or "UTC−3:30": what the chosen zone is at that time. */
export function zoneName(time: number, zone: Zone): string {
  const minutes = zone === "utc" ? 0 : -new Date(time).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  const rest = size % 60 === 0 ? "" : `:${pad(size % 60)}`;
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(size / 60)}${rest}`;
}
