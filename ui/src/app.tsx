// The frame around all pages.

import { useEffect, useState } from "preact/hooks";
import { TITLE } from "./base";
import { lazy } from "./controls/lazy";
import { QueryPage } from "./query/query-page";
import { refreshNow } from "./refresh";
import { followLinks, goToPage, href, location, navigate } from "./router";
import { Header, KeysDialog } from "./shell/header";
import { addShortcut, listenForKeys } from "./shell/keys";
import { Notices } from "./shell/notices";
import { watchServer } from "./shell/server";

const TargetsPage = lazy(async () => (await import("./targets/targets-page")).TargetsPage);
const RuntimePage = lazy(async () => (await import("./status/pages")).RuntimePage);
const StoragePage = lazy(async () => (await import("./status/pages")).StoragePage);
const FlagsPage = lazy(async () => (await import("./status/pages")).FlagsPage);
const ConfigPage = lazy(async () => (await import("./status/pages")).ConfigPage);

const PAGES: Record<string, [title: string, page: () => preact.JSX.Element | null]> = {
  "/query": ["Query", () => <QueryPage />],
  "/targets": ["Targets", () => <TargetsPage />],
  "/status": ["Runtime & build", () => <RuntimePage />],
  "/tsdb-status": ["Storage", () => <StoragePage />],
  "/flags": ["Flags", () => <FlagsPage />],
  "/config": ["Configuration", () => <ConfigPage />],
};

/** Servers redirect these; a page that was opened without one (a static preview) does it here. */
function redirectOldPaths(): void {
  const { path, search } = location.peek();
  if (path === "/" || path === "" || path === "/graph") navigate("/query", search, "replace");
}

export function App() {
  const [keysOpen, setKeysOpen] = useState(false);
  useEffect(() => {
    redirectOldPaths();
    watchServer();
    listenForKeys();
    document.addEventListener("click", followLinks);
    addShortcut({ keys: "g q", does: "Go to Query", run: () => goToPage("/query") });
    addShortcut({ keys: "g t", does: "Go to Targets", run: () => goToPage("/targets") });
    addShortcut({ keys: "r", does: "Refresh", run: refreshNow });
    addShortcut({ keys: "?", does: "Show the keyboard shortcuts", run: () => setKeysOpen(true) });
  }, []);

  const [title, page] = PAGES[location.value.path] ?? ["Not found", NotFound];
  useEffect(() => {
    document.title = `${title} · ${TITLE}`;
  }, [title]);
  return (
    <>
      <a class="skip-link" href="#main">
        Skip to the content
      </a>
      <Header onKeys={() => setKeysOpen(true)} />
      <Notices />
      <main id="main" tabIndex={-1}>
        {page()}
      </main>
      {keysOpen && <KeysDialog onClose={() => setKeysOpen(false)} />}
    </>
  );
}

function NotFound() {
  if (/^\/(graph)?$/.test(location.value.path)) return null;
  return (
    <section class="page empty">
      <h1>There is no page {location.value.path}</h1>
      <p>
        This version has{" "}
        <a href={href("/query")} data-page="">
          Query
        </a>
        ,{" "}
        <a href={href("/targets")} data-page="">
          Targets
        </a>{" "}
        and the pages under Status.
      </p>
    </section>
  );
}
