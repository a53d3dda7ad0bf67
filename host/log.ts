import { inspect } from "node:util";

/** Where this library reports. `console`, pino and most others fit as they are. */
export interface Logger {
  debug(message: string, ...details: unknown[]): void;
  info(message: string, ...details: unknown[]): void;
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

/**
 * The default: one line per message on standard error, with time and level. Never standard output,
 * which belongs to the application. `debug` is silent: pass `console` to see it.
 */
export const stderrLogger: Logger = {
  debug() {},
  info: (message, ...details) => write("INFO", message, details),
  warn: (message, ...details) => write("WARN", message, details),
  error: (message, ...details) => write("ERROR", message, details),
};

/** Says nothing. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function write(level: string, message: string, details: readonly unknown[]): void {
  const text = [message, ...details.map(describe)].join(" ");
  // `console.error`, unlike `process.stderr.write`, survives a closed standard error.
  console.error(`${new Date().toISOString()} ${level} ${oneLine(text)}`);
}

function describe(detail: unknown): string {
  if (typeof detail === "string") return detail;
  if (detail instanceof Error) return detail.stack ?? detail.message;
  return inspect(detail, { breakLength: Number.POSITIVE_INFINITY });
}

/** Messages quote what peers sent: control characters must not reach a terminal. */
function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " | ").replace(/\p{Cc}/gu, "\u{fffd}");
}
