// The bar at the top: where one is, where one can go, and how things are shown.

import { useState } from "preact/hooks";
import { TITLE } from "../base";
import { Dialog } from "../controls/dialog";
import { Icon } from "../controls/icons";
import { Menu } from "../controls/menu";
import { zoneName } from "../format/time";
import { href, location, pageHref } from "../router";
import { singleKeys, type Theme, theme, zone } from "../settings";
import { allShortcuts } from "./keys";

const STATUS_PAGES = [
  ["/status", "Runtime & build"],
  ["/tsdb-status", "Storage"],
  ["/flags", "Flags"],
  ["/config", "Configuration"],
] as const;

function PageLink({ path, text }: { path: string; text: string }) {
  const current =
    location.value.path === path || (path === "/query" && /^\/(graph)?$/.test(location.value.path));
  return (
    <a href={pageHref(path)} data-page="" aria-current={current ? "page" : undefined}>
      {text}
    </a>
  );
}

export function Header({ onKeys }: { onKeys(): void }) {
  const inStatus = STATUS_PAGES.some(([path]) => path === location.value.path);
  return (
    <header class="header">
      <a class="brand" href={href("/query")} data-page="" aria-label={`${TITLE}: start page`}>
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path class="brand-land" d="M4 20.500 12 8l5.200 6.600 3.200-3.200 7.600 9.100z" />
          <path class="brand-sea" d="M3 25h26" />
        </svg>
        <span>{TITLE}</span>
      </a>
      <nav aria-label="Pages">
        <PageLink path="/query" text="Query" />
        <PageLink path="/targets" text="Targets" />
        <Menu
          class={inStatus ? "nav-menu nav-current" : "nav-menu"}
          face={
            <>
              Status <Icon name="chevron" />
            </>
          }
        >
          {STATUS_PAGES.map(([path, text]) => (
            <PageLink key={path} path={path} text={text} />
          ))}
        </Menu>
      </nav>
      <div class="header-end">
        <ZoneButton />
        <ThemeMenu />
        <button
          type="button"
          class="button quiet icon-only"
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
          onClick={onKeys}
        >
          ?
        </button>
      </div>
    </header>
  );
}

function ZoneButton() {
  const name = zoneName(Date.now(), zone.value);
  const text = zone.value === "utc" ? "UTC" : `Local, ${name}`;
  return (
    <button
      type="button"
      class="button quiet"
      title="Times are shown in this zone. Click to change between local time and UTC."
      onClick={() => {
        zone.value = zone.value === "utc" ? "local" : "utc";
      }}
    >
      <Icon name="clock" />
      <span class="visually-hidden">Time zone: </span>
      {text}
    </button>
  );
}

const THEMES: readonly (readonly [Theme, string, "auto" | "sun" | "moon"])[] = [
  ["auto", "As the system", "auto"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

function ThemeMenu() {
  const icon = THEMES.find(([value]) => value === theme.value)?.[2] ?? "auto";
  return (
    <Menu class="button quiet icon-only" label="Theme" face={<Icon name={icon} />} align="right">
      {THEMES.map(([value, text, face]) => (
        <button
          type="button"
          key={value}
          aria-pressed={theme.value === value}
          onClick={() => {
            theme.value = value;
          }}
        >
          <Icon name={face} />
          {text}
        </button>
      ))}
    </Menu>
  );
}

export function KeysDialog({ onClose }: { onClose(): void }) {
  // The page's own shortcuts may change while the dialog is open; what it listed when opened is enough.
  const [shortcuts] = useState(allShortcuts);
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl class="keys">
        {shortcuts.map((shortcut) => (
          <div key={shortcut.keys}>
            <dt>
              {shortcut.keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{shortcut.does}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>Enter</kbd>
          </dt>
          <dd>In the editor: run the query (Shift+Enter: new line)</dd>
        </div>
        <div>
          <dt>
            <kbd>←</kbd>
            <kbd>→</kbd>
            <kbd>↑</kbd>
            <kbd>↓</kbd>
          </dt>
          <dd>On a chart: through time and through the series</dd>
        </div>
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={singleKeys.value}
          onChange={(event) => {
            singleKeys.value = event.currentTarget.checked;
          }}
        />
        Shortcuts of one key
      </label>
    </Dialog>
  );
}
