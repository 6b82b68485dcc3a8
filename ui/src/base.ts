// What the server writes into index.html, and where the pages live.

function meta(name: string): string | null {
  const content = document.querySelector(`meta[name="${name}"]`)?.getAttribute("content") ?? null;
  // Served by something that fills no placeholders, as `vite` in development.
  return content?.startsWith("__PROMONTORY_") ? null : content;
}

/**
 * The path in front of every page, "" or "/prefix", without a slash at its end.
 *
 * All pages lie one level below it, so the address shows it. That holds behind a proxy which strips a
 * prefix that the server knows nothing of, too; therefore the server's own word is only asked when it fits.
 */
export function basePath(pathname: string, fromServer: string | null): string {
  if (fromServer && pathname.startsWith(`${fromServer}/`)) return fromServer;
  return pathname.slice(0, pathname.lastIndexOf("/"));
}

export const BASE =
  typeof document === "undefined" ? "" : basePath(window.location.pathname, meta("promontory-base"));

/** How far back an instant query looks for a sample, as a duration text. */
export const LOOKBACK = typeof document === "undefined" ? "5m" : (meta("promontory-lookback") ?? "5m");

/** The title that the operator chose. */
export const TITLE =
  typeof document === "undefined" || document.title.startsWith("__PROMONTORY_")
    ? "Promontory"
    : document.title;
