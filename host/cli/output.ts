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

/** How long nobody has read when it is taken for certain that nobody will. */
const UNREAD_MS = 1000;

/** Has this process end though nobody reads what it still has to write. */
export function leaveUnread(): void {
  const { stdout, stderr } = process;
  let before = Number.POSITIVE_INFINITY;
  setInterval(() => {
    const left = stdout.writableLength + stderr.writableLength;
    if (left >= before) process.exit();
    before = left;
  }, UNREAD_MS).unref();
}

/** Prints what a monitor knows now as one line of exact JSON. */
export function printLine(monitor: UtilizationMonitor): void {
  const time = new Date().toISOString();
  const members = monitor.statusText({ totals: true }).slice(1);
  process.stdout.write(escapeControls(`{"time":"${time}",${members}\n`));
}
