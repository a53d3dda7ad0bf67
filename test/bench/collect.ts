/** Collects garbage, where the process was started so that it can be asked to. */
export const collect: ((options?: { type: "minor" }) => void) | undefined = (
  globalThis as { gc?: (options?: { type: "minor" }) => void }
).gc;
