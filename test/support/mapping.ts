import { selectMapping } from "../../host/mapping/index.ts";
import type { MappingName } from "../../host/mapping/name.ts";

/** Why tests that need a mapping by nature are skipped: a blocked worker writes to no file. */
export const unmapped: string | false =
  selectMapping().mapping === "none" && "workers do not map files here";

/** Why tests that choose a mapping by themselves are skipped. */
export const forced: string | false =
  process.env.UTILIZATION_MAPPING !== undefined && "one way of mapping is forced";

/** Whether this runtime can map that way. */
export function loads(name: MappingName): boolean {
  try {
    selectMapping(name);
    return true;
  } catch {
    return false;
  }
}
