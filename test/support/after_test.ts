import { isDeno } from "./runtime.ts";

export interface Test {
  after(action: () => void | Promise<void>): void;
}

/**
 * Has something done when a test has ended. Deno forgets about it if the test is in a suite: there
 * it is done at the latest when the file has ended.
 */
export function afterTest(test: Test, action: () => void | Promise<void>): void {
  let ended = false;
  const end = (): void | Promise<void> => {
    if (ended) return;
    ended = true;
    return action();
  };
  test.after(end);
  if (isDeno) globalThis.addEventListener("unload", () => void end());
}
