import { fileURLToPath } from "node:url";
import { projectFile } from "../data.ts";
import { aggregateVectors } from "./aggregate.ts";
import { allocatorVectors } from "./allocator.ts";
import { decodeVectors } from "./decode.ts";
import { totalsVectors } from "./totals.ts";

/** The vector files that are made, by name. Those that are written by hand are not among them. */
export function vectorFiles(): Map<string, string> {
  const golden = fileURLToPath(projectFile("test/golden/"));
  return new Map([
    ["decode.txt", decodeVectors(golden)],
    ["aggregate.txt", aggregateVectors(golden)],
    ["allocator.txt", allocatorVectors(golden)],
    ["totals.txt", totalsVectors()],
  ]);
}
