// What "run" is told by signals.

import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";

export interface RunSignals {
  /** All workers shall end. */
  stop(): void;
  /** The same, said a second time: at once. */
  kill(): void;
  /** The workers shall be replaced. */
  roll(): void;
  /** What is meant for the workers. */
  forward(name: NodeJS.Signals): void;
}

/** Obeys signals from now on. Returns by which code one says that it was hurried, or null. */
export function obeySignals(actions: RunSignals): () => number | null {
  let isStopping = false;
  let code: number | null = null;
  const stop = (name: NodeJS.Signals): void => {
    if (isStopping) {
      code = 128 + constants.signals[name];
      actions.kill();
    }
    isStopping = true;
    actions.stop();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);

  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  process.on("SIGHUP", () => {
    // The same signal says that the terminal was closed.
    if (hasTerminal && !isTerminalThere()) stop("SIGHUP");
    else actions.roll();
  });
  for (const name of ["SIGUSR1", "SIGUSR2"] as const) process.on(name, actions.forward);
  // In a terminal it says that the window has another size. Some servers end their workers by it.
  if (!hasTerminal) process.on("SIGWINCH", actions.forward);
  return () => code;
}

function isTerminalThere(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
