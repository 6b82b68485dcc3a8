// What the server said beside or instead of a result.

import type { Answer } from "../api/client";
import { locateError } from "./error-position";

export function QueryError({ error, expr }: { error: Error; expr: string }) {
  const located = locateError(error.message, expr);
  return (
    <div class="notice notice-error" role="alert">
      <strong>The query failed.</strong> {located ? located.message : error.message}
      {located && (
        <pre class="error-place">
          <code>
            {located.source}
            {"\n"}
            {" ".repeat(located.offset - (expr.lastIndexOf("\n", Math.max(0, located.offset - 1)) + 1))}^
          </code>
          <span class="muted">
            line {located.line}, column {located.column}
          </span>
        </pre>
      )}
    </div>
  );
}

export function Annotations({ warnings, infos }: Pick<Answer<unknown>, "warnings" | "infos">) {
  return (
    <>
      {warnings.length > 0 && <Notes kind="warning" title="Warning" texts={warnings} />}
      {infos.length > 0 && <Notes kind="info" title="Note" texts={infos} />}
    </>
  );
}

function Notes({
  kind,
  title,
  texts,
}: {
  kind: "warning" | "info";
  title: string;
  texts: readonly string[];
}) {
  return (
    <div class={`notice notice-${kind}`}>
      {texts.map((text) => (
        <p key={text}>
          <strong>{title}:</strong> {text}
        </p>
      ))}
    </div>
  );
}

/** Above a result: how large it is, how long it took. Words only, so that it reads well aloud, too. */
export function Stats({ parts, loading }: { parts: readonly string[]; loading: boolean }) {
  return (
    <p class="stats" aria-live="polite">
      {loading && <span class="spinner" aria-hidden="true" />}
      {loading && parts.length === 0 ? "Loading" : parts.join(" · ")}
    </p>
  );
}
