// When a command that runs on and on shall end.

import { isReaderGone } from "./output.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Is aborted by SIGINT, SIGTERM, SIGHUP, or when nobody reads standard output any more. The same
 * signal a second time has its usual effect: it ends the process at once.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of SIGNALS) process.once(name, () => controller.abort(null));
  process.stdout.on("error", (error) => controller.abort(isReaderGone(error) ? null : error));
  return controller.signal;
}

/**
 * Waits for the signal, or for a time.
 *
 * @throws the error because of which it was aborted, if there is one.
 */
export async function stopped(signal: AbortSignal, withinMs: number | null = null): Promise<void> {
  if (!signal.aborted) {
    await new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve(null);
      };
      const timer = withinMs === null ? undefined : setTimeout(end, withinMs);
      signal.addEventListener("abort", end, { once: true });
    });
  }
  if (signal.aborted && signal.reason !== null) throw signal.reason;
}
