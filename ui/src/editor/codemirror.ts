// The PromQL editor proper. Loaded lazily: with its language it is larger than everything else together.

import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  completionKeymap,
  completionStatus,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { BASE } from "../base";

export interface Editor {
  setText(text: string): void;
  select(from: number, to: number): void;
  focus(): void;
  destroy(): void;
}

interface Options {
  text: string;
  label: string;
  onChange(text: string): void;
  onRun(): void;
}

// Classes only, so that the colours of both themes stand in one style sheet (`styles/query.css`).
const highlight = HighlightStyle.define([
  { tag: tags.name, class: "tok-name" },
  { tag: tags.number, class: "tok-number" },
  { tag: tags.string, class: "tok-string" },
  { tag: tags.keyword, class: "tok-keyword" },
  { tag: tags.function(tags.variableName), class: "tok-function" },
  { tag: tags.labelName, class: "tok-label" },
  { tag: [tags.operator, tags.arithmeticOperator, tags.compareOperator], class: "tok-operator" },
  { tag: tags.modifier, class: "tok-keyword" },
  { tag: tags.comment, class: "tok-comment" },
  { tag: [tags.paren, tags.squareBracket, tags.brace, tags.punctuation], class: "tok-bracket" },
  { tag: tags.invalid, class: "tok-invalid" },
]);

export function createEditor(parent: HTMLElement, { text, label, onChange, onRun }: Options): Editor {
  const promql = new PromQLExtension()
    .activateCompletion(true)
    .activateLinter(true)
    .setComplete({ remote: { url: BASE, httpMethod: "GET" } });

  const run = Prec.highest(
    keymap.of([
      {
        key: "Enter",
        run: (view) => {
          // While a completion is offered, Enter takes it.
          if (completionStatus(view.state) === "active") return false;
          onRun();
          return true;
        },
      },
      {
        key: "Mod-Enter",
        run: (view) => {
          closeCompletion(view);
          onRun();
          return true;
        },
      },
      { key: "Shift-Enter", run: insertNewlineAndIndent },
    ]),
  );
  const leave = keymap.of([
    {
      key: "Escape",
      run: (view) => {
        view.contentDOM.blur();
        return true;
      },
    },
  ]);

  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        run,
        history(),
        drawSelection(),
        bracketMatching(),
        closeBrackets(),
        indentOnInput(),
        autocompletion({ icons: false }),
        syntaxHighlighting(highlight),
        promql.asExtension(),
        EditorView.lineWrapping,
        placeholder("Expression (press / to focus)"),
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", autocapitalize: "off" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange(update.state.doc.toString());
        }),
        keymap.of([
          ...closeBracketsKeymap,
          ...completionKeymap,
          ...historyKeymap,
          ...defaultKeymap,
          ...lintKeymap,
        ]),
        leave,
      ],
    }),
  });

  return {
    setText(next) {
      if (view.state.doc.toString() === next) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
    },
    select(from, to) {
      const end = view.state.doc.length;
      view.dispatch({ selection: { anchor: Math.min(from, end), head: Math.min(to, end) } });
    },
    focus: () => view.focus(),
    destroy() {
      promql.destroy();
      view.destroy();
    },
  };
}
