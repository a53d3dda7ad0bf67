import { readFileSync } from "node:fs";

/** A file of the project: tests run from a build folder, but their data stay where they are. */
export function projectFile(path: string): URL {
  return new URL(path, import.meta.resolve("#package.json"));
}

/** The parsed content of a JSON file of the project. */
export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(projectFile(path), "utf8"));
}
