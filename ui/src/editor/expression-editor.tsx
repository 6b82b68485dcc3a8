// The field for a PromQL expression: a plain text area at once, CodeMirror as soon as it is there.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Editor } from "./codemirror";

interface Props {
  value: string;
  onChange(text: string): void;
  onRun(): void;
  label: string;
  /** Where the server found an error: a character offset to put the caret at. */
  caret?: number | null;
}

export function ExpressionEditor({ value, onChange, onRun, label }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const editor = useRef<Editor | null>(null);
  const handlers = useRef({ onChange, onRun });
  handlers.current = { onChange, onRun };
  const [rich, setRich] = useState(false);

  useEffect(() => {
    let gone = false;
    const load = async () => {
      const { createEditor } = await import("./codemirror");
      if (gone || !host.current || !area.current) return;
      const { value: text, selectionStart, selectionEnd } = area.current;
      const focused = document.activeElement === area.current;
      editor.current = createEditor(host.current, {
        text,
        label,
        onChange: (next) => handlers.current.onChange(next),
        onRun: () => handlers.current.onRun(),
      });
      setRich(true);
      editor.current.select(selectionStart, selectionEnd);
      if (focused) editor.current.focus();
    };
    // The first chart comes first; without an idle moment the editor comes after a second.
    const idle = window.requestIdleCallback
      ? window.requestIdleCallback(() => void load().catch(() => {}), { timeout: 1_000 })
      : window.setTimeout(() => void load().catch(() => {}), 200);
    return () => {
      gone = true;
      if (window.cancelIdleCallback) window.cancelIdleCallback(idle);
      else window.clearTimeout(idle);
      editor.current?.destroy();
      editor.current = null;
    };
  }, [label]);

  useEffect(() => {
    editor.current?.setText(value);
  }, [value]);

  return (
    <div class="editor" data-editor={rich ? "codemirror" : "textarea"}>
      <div ref={host} />
      {!rich && (
        <textarea
          ref={area}
          class="editor-plain"
          aria-label={label}
          placeholder="Expression (press / to focus)"
          spellcheck={false}
          autocapitalize="off"
          autocomplete="off"
          rows={Math.max(1, value.split("\n").length)}
          value={value}
          onInput={(event) => onChange(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey) {
              event.preventDefault();
              onRun();
            }
            if (event.key === "Escape") event.currentTarget.blur();
          }}
        />
      )}
    </div>
  );
}
