import { inspect } from "node:util";
import { CONTROLS } from "./field.ts";

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

/**
 * Messages quote what peers sent: nothing may reach a terminal that moves its cursor, ends the line,
 * or turns the direction in which it is read.
 */
function oneLine(text: string): string {
  const visible = text.replace(/\s*\n\s*/g, " | ");
  return visible.replace(CONTROLS, "\u{fffd}");
}

/** A logger whose errors stay with it: what cannot be written must not end an application. */
export function safely(log: Logger): Logger {
  const line =
    (level: keyof Logger): Logger["info"] =>
    (message, ...details) => {
      try {
        log[level](message, ...details);
      } catch {
        // There is nobody left to tell.
      }
    };
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

const BUDGET_MS = 10_000;

/**
 * A logger that lets `lines` lines through in ten seconds. When there are more, `onFull` is called
 * for each; what peers do can then fill no disk.
 */
export function budgeted(
  log: Logger,
  lines: number,
  onFull: () => void,
  now: () => number = () => performance.now(),
): Logger {
  let left = lines;
  let renewal = Number.NEGATIVE_INFINITY;
  const line =
    (level: "info" | "warn" | "error"): Logger["info"] =>
    (message, ...details) => {
      const time = now();
      if (time >= renewal) {
        left = lines;
        renewal = time + BUDGET_MS;
      }
      if (left-- > 0) log[level](message, ...details);
      else onFull();
    };
  return {
    debug: (message, ...details) => log.debug(message, ...details),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
  };
}
