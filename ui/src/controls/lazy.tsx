// A page whose code is fetched when somebody goes there.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

export function lazy(load: () => Promise<ComponentType>): ComponentType {
  let loaded: ComponentType | null = null;
  return function Lazy() {
    const [Page, setPage] = useState<ComponentType | null>(() => loaded);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded) return;
      load().then(
        (page) => {
          loaded = page;
          setPage(() => page);
        },
        () => setFailed(true),
      );
    }, []);
    if (Page) return <Page />;
    if (!failed) return null;
    return (
      <p class="notice notice-error">
        <strong>This page could not be loaded.</strong> If the server was upgraded meanwhile, reload.
      </p>
    );
  };
}
