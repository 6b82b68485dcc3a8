// A button that opens a small panel: menus in the header and on panels.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  /** What the button shows. */
  face: ComponentChildren;
  /** The button's name where its face has no words. */
  label?: string;
  class?: string;
  align?: "left" | "right";
  children: ComponentChildren;
}

/** Closes on Escape, on a click elsewhere, on a choice and when the focus moves on. */
export function Menu({ face, label, class: className = "button", align = "left", children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", onKey);
    };
  }, [open]);
  return (
    <div class="menu" ref={root}>
      <button
        type="button"
        class={className}
        ref={button}
        aria-expanded={open}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!open)}
      >
        {face}
      </button>
      {open && (
        // biome-ignore lint/a11y/noStaticElementInteractions: the buttons and links inside take the keys.
        // biome-ignore lint/a11y/useKeyWithClickEvents: a key on one of them is a click here as well.
        <div
          class={`menu-panel menu-${align}`}
          onClick={(event) => {
            if ((event.target as Element).closest("a, button")) setOpen(false);
          }}
        >
          {children}
        </div>
      )}
    </div>
  );
}
