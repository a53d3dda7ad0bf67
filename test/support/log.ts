import type { Logger } from "../../host/log.ts";

/** A logger that keeps what it is told. */
export class CollectingLogger implements Logger {
  readonly lines: string[] = [];

  #add(level: string, message: string, details: readonly unknown[]): void {
    this.lines.push([level, message, ...details.map((detail) => JSON.stringify(detail))].join(" "));
  }

  debug(message: string, ...details: unknown[]): void {
    this.#add("debug", message, details);
  }

  info(message: string, ...details: unknown[]): void {
    this.#add("info", message, details);
  }

  warn(message: string, ...details: unknown[]): void {
    this.#add("warn", message, details);
  }

  error(message: string, ...details: unknown[]): void {
    this.#add("error", message, details);
  }

  /** The lines that contain `text`. */
  with(text: string): string[] {
    return this.lines.filter((line) => line.includes(text));
  }
}
