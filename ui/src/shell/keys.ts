// Keyboard shortcuts of the whole app.

import { singleKeys } from "../settings";

export interface Shortcut {
  /** One key, or two in a row: "r", "g q". */
  readonly keys: string;
  readonly does: string;
  readonly run: () => void;
}

const shortcuts = new Map<string, Shortcut>();

/** Adds a shortcut and returns what takes it away again. */
export function addShortcut(shortcut: Shortcut): () => void {
  shortcuts.set(shortcut.keys, shortcut);
  return () => {
    if (shortcuts.get(shortcut.keys) === shortcut) shortcuts.delete(shortcut.keys);
  };
}

export function allShortcuts(): Shortcut[] {
  return [...shortcuts.values()];
}

/** The second key of a pair has to follow within this time. */
const PAIR_MS = 1_200;

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function listenForKeys(): void {
  let first = { key: "", at: 0 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (!singleKeys.peek() || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const pair = Date.now() - first.at < PAIR_MS ? shortcuts.get(`${first.key} ${event.key}`) : undefined;
    const shortcut = pair ?? shortcuts.get(event.key);
    first = { key: event.key, at: Date.now() };
    if (!shortcut) return;
    event.preventDefault();
    shortcut.run();
  });
}
