// Where in an expression the server found an error: its texts begin "line:column: parse error: …".

export interface Located {
  readonly line: number;
  readonly column: number;
  /** The text without the position. */
  readonly message: string;
  /** The line in question, and the offset of the error from the expression's start. */
  readonly source: string;
  readonly offset: number;
}

/** Splits an error of `expr` into place and message; null when it names no place, or one that is not there. */
export function locateError(error: string, expr: string): Located | null {
  const match = /(?:^|: )(\d+):(\d+): (.*)$/s.exec(error);
  if (!match) return null;
  const [line, column] = [Number(match[1]), Number(match[2])];
  const lines = expr.split("\n");
  const source = lines[line - 1];
  if (source === undefined || column < 1) return null;
  const before = lines.slice(0, line - 1).reduce((length, text) => length + text.length + 1, 0);
  // The server counts bytes, this counts UTF-16 units: they only differ after characters beyond ASCII.
  const inLine = Math.min(unitsOfBytes(source, column - 1), source.length);
  return { line, column, message: match[3] ?? "", source, offset: before + inLine };
}

function unitsOfBytes(text: string, bytes: number): number {
  const encoder = new TextEncoder();
  let units = 0;
  let seen = 0;
  for (const character of text) {
    if (seen >= bytes) break;
    seen += encoder.encode(character).length;
    units += character.length;
  }
  return units;
}
