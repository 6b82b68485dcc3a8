// A text field whose value is taken on Enter or on leaving, if it can be read, and marked if it cannot.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

interface Props {
  label: string;
  value: string;
  /** Takes the text, or says false when it means nothing. */
  onCommit(text: string): boolean;
  placeholder?: string;
  class?: string;
  list?: string;
  children?: ComponentChildren;
}

export function TextInput({ label, value, onCommit, placeholder, class: className = "", list }: Props) {
  const [draft, setDraft] = useState(value);
  const [wrong, setWrong] = useState(false);
  useEffect(() => {
    setDraft(value);
    setWrong(false);
  }, [value]);
  const commit = (text: string) => setWrong(text !== value && !onCommit(text));
  return (
    <input
      class={`input ${className}`}
      type="text"
      spellcheck={false}
      autocomplete="off"
      aria-label={label}
      title={label}
      aria-invalid={wrong}
      placeholder={placeholder}
      list={list}
      value={draft}
      onInput={(event) => setDraft(event.currentTarget.value)}
      onChange={(event) => commit(event.currentTarget.value.trim())}
      onKeyDown={(event) => {
        if (event.key === "Enter") commit(event.currentTarget.value.trim());
        if (event.key === "Escape") {
          setDraft(value);
          setWrong(false);
        }
      }}
    />
  );
}
