import { DETACHED } from "../../assembly/layout.ts";
import type { Core, CoreExports } from "../../host/core.ts";
import type { UtilizationMonitor } from "../../host/utilization_monitor.ts";

/** Replaces functions of a monitor's core. */
function replace(make: (exports: CoreExports) => Partial<CoreExports>) {
  return (monitor: UtilizationMonitor): void => {
    const core = monitor.allocator!.core as { -readonly [Key in keyof Core]: Core[Key] };
    core.exports = { ...core.exports, ...make(core.exports) };
  };
}

/** Ways to break a monitor, each of which some order of steps has to bring to light. */
export const FAULTS = {
  "what the dead have counted is dropped": replace(({ retire }) => ({
    retire: (group, sign) => (sign > 0 ? 0 : retire(group, sign)),
  })),
  "who comes back stays among the retired as well": replace(({ retire }) => ({
    retire: (group, sign) => (sign < 0 ? 0 : retire(group, sign)),
  })),
  "detached segments are counted twice": replace(({ accumulate }) => ({
    accumulate(group, list, first, count) {
      if (list === DETACHED) accumulate(group, list, first, count);
      return accumulate(group, list, first, count);
    },
  })),
  "segments are never free again": replace(() => ({ free: () => 0 })),
} as const satisfies Record<string, (monitor: UtilizationMonitor) => void>;
