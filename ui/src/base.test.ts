import { expect, test } from "vitest";
import { basePath } from "./base";

test.each([
  ["/query", "", ""],
  ["/", "", ""],
  ["/query", null, ""],
  ["/prom/query", "/prom", "/prom"],
  ["/prom/", "/prom", "/prom"],
  // A proxy strips /outside, of which the server knows nothing.
  ["/outside/query", "", "/outside"],
  ["/outside/prom/targets", "/prom", "/outside/prom"],
  ["/a/b/c/query", null, "/a/b/c"],
])("the base of %s, told %j, is %j", (pathname, fromServer, base) => {
  expect(basePath(pathname, fromServer)).toBe(base);
});
