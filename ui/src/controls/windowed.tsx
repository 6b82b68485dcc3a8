// A long list of which only what can be seen is in the page. Rows may have any height: they are estimated,
// and measured once they are drawn.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props<T> {
  items: readonly T[];
  keyOf(item: T): string;
  /** Pixels, close enough that the scroll bar is honest. */
  estimate(item: T): number;
  render(item: T): ComponentChildren;
}

/** Drawn beyond each edge, so that scrolling by a page shows rows, not gaps. */
const MARGIN_PIXELS = 800;

/** The first item at or below `pixel`, given where each begins. */
export function itemAt(offsets: ArrayLike<number>, pixel: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] ?? 0) <= pixel) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function Windowed<T>({ items, keyOf, estimate, render }: Props<T>) {
  const list = useRef<HTMLUListElement>(null);
  const heights = useRef(new Map<string, number>());
  const [, setVersion] = useState(0);
  const [view, setView] = useState({ top: 0, bottom: 1_500 });

  useEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const top = -(list.current?.getBoundingClientRect().top ?? 0);
      setView({ top: top - MARGIN_PIXELS, bottom: top + window.innerHeight + MARGIN_PIXELS });
    };
    const soon = () => {
      if (frame === 0) frame = requestAnimationFrame(look);
    };
    look();
    window.addEventListener("scroll", soon, { passive: true });
    window.addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("scroll", soon);
      window.removeEventListener("resize", soon);
    };
  }, []);

  // offsets[i] is where item i begins; the last one is the height of everything.
  const offsets = new Float64Array(items.length + 1);
  items.forEach((item, index) => {
    offsets[index + 1] = (offsets[index] ?? 0) + (heights.current.get(keyOf(item)) ?? estimate(item));
  });
  const from = Math.min(items.length, itemAt(offsets, Math.max(0, view.top)));
  const to = Math.min(items.length, itemAt(offsets, Math.max(0, view.bottom)) + 1);

  useLayoutEffect(() => {
    const measure = () => {
      let changed = false;
      for (const row of list.current?.children ?? []) {
        const key = (row as HTMLElement).dataset.key;
        const height = row.getBoundingClientRect().height;
        if (key === undefined || height === 0 || heights.current.get(key) === height) continue;
        heights.current.set(key, height);
        changed = true;
      }
      if (changed) setVersion((version) => version + 1);
    };
    measure();
    const observer = new ResizeObserver(measure);
    for (const row of list.current?.children ?? []) observer.observe(row);
    return () => observer.disconnect();
  });

  return (
    <ul
      ref={list}
      class="windowed"
      style={{
        paddingTop: `${offsets[from] ?? 0}px`,
        paddingBottom: `${(offsets[items.length] ?? 0) - (offsets[to] ?? 0)}px`,
      }}
    >
      {items.slice(from, to).map((item, index) => (
        <li
          key={keyOf(item)}
          data-key={keyOf(item)}
          aria-setsize={items.length}
          aria-posinset={from + index + 1}
        >
          {render(item)}
        </li>
      ))}
    </ul>
  );
}
