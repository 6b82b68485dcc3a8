// The address bar as a signal. Pages lie one level below the base path.

import { effect, signal } from "@preact/signals";
import { BASE } from "./base";

export interface Location {
  /** "/query", without the base path. */
  readonly path: string;
  /** "" or "?…". */
  readonly search: string;
}

function read(): Location {
  const { pathname, search } = window.location;
  return { path: pathname.slice(BASE.length), search };
}

export const location = signal<Location>(read());

/** What each page showed last, so that going to another page and back loses nothing. */
const lastSearch = new Map<string, string>();

effect(() => {
  lastSearch.set(location.value.path, location.value.search);
});

/** The address of a page as it was left; of the page that is open, afresh. */
export function pageHref(path: string): string {
  return href(path, location.value.path === path ? "" : lastSearch.get(path));
}

export function goToPage(path: string): void {
  if (location.peek().path !== path) navigate(path, lastSearch.get(path) ?? "");
}

window.addEventListener("popstate", () => {
  location.value = read();
});

export function href(path: string, search = ""): string {
  return BASE + path + search;
}

/** Goes to an address of this app. `replace` leaves no step to go back to. */
export function navigate(path: string, search: string, how: "push" | "replace" = "push"): void {
  const current = location.peek();
  if (current.path === path && current.search === search) return;
  if (how === "push") window.history.pushState(null, "", href(path, search));
  else window.history.replaceState(null, "", href(path, search));
  location.value = { path, search };
}

/** Follows links of this app without loading the page again. New tabs and downloads stay the browser's. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (link?.target !== "" || link.dataset.page === undefined) return;
  event.preventDefault();
  const url = new URL(link.href);
  navigate(url.pathname.slice(BASE.length), url.search);
}
