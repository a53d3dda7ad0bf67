import type { Logger } from "../../host/log.ts";

/** A logger that keeps what it is told. */
export class CollectingLogger implements Logger {
  /** The messages alone. */
  readonly lines: string[] = [];
  /** Level, message and details. */
  readonly entries: string[] = [];

  debug = this.#recorder("debug");
  info = this.#recorder("info");
  warn = this.#recorder("warn");
  error = this.#recorder("error");

  #recorder(level: string): Logger["info"] {
    return (message, ...details) => {
      this.lines.push(message);
      const texts = details.map((detail) => JSON.stringify(detail));
      this.entries.push([level, message, ...texts].join(" "));
    };
  }

  /** The entries that contain `text`. */
  with(text: string): string[] {
    return this.entries.filter((entry) => entry.includes(text));
  }
}
