// The libraries that we are compared with, of which not every runtime loads every one.

import { createRequire } from "node:module";
import { projectFile } from "../data.ts";

/** prom-client, and what took its place: the same classes. */
export type PromClientName = "prom-client" | "@prometheus-io/client";
export type PromClient = typeof import("prom-client");

/** As the rows of a result name them. */
export const TITLES: Readonly<Record<PromClientName, string>> = {
  "prom-client": "prom-client 15",
  "@prometheus-io/client": "@prometheus-io/client 0.16",
};

/** Throws an error that says why, where the library is not to be had. */
export function loadPromClient(name: PromClientName): PromClient {
  if (name === "prom-client") return createRequire(import.meta.url)(name) as PromClient;
  const node = process.versions.node;
  if (Number.parseInt(node, 10) < 22) throw new Error(`needs Node 22, this is ${node}`);
  // Our own packages install without a warning on Node 20, so it is not among them.
  const tools = createRequire(projectFile("test/tools/package.json"));
  try {
    return tools(name) as PromClient;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    throw new Error("not installed: npm run test:tools");
  }
}
