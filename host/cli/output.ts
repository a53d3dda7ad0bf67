// Standard output.

import type { UtilizationMonitor } from "../utilization_monitor.ts";

/** A reader that has had enough (`| head -1`), or a terminal that was closed, is no error. */
export function isReaderGone(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EPIPE" || code === "EIO";
}

/** JSON has these as they are, and terminals obey them. */
function escapeControls(text: string): string {
  return text.replace(
    /[\u007f-\u009f]/g,
    (control) => `\\u00${control.charCodeAt(0).toString(16)}`,
  );
}

/** Writes, and resolves when that is done. @throws when the text could not be written. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const written = (error?: Error | null): void => {
      if (error && !isReaderGone(error)) reject(error);
      else resolve();
    };
    // The event comes as well, and would end the process.
    process.stdout.once("error", written);
    process.stdout.write(escapeControls(text), written);
  });
}

/** Prints what a monitor knows now as one line of exact JSON. */
export function printLine(monitor: UtilizationMonitor): void {
  const time = new Date().toISOString();
  const members = monitor.statusText({ totals: true }).slice(1);
  process.stdout.write(escapeControls(`{"time":"${time}",${members}\n`));
}
