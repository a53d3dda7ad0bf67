// What becomes of the workers when this process is killed, and can do nothing about it any more.

import { type ChildProcess, spawn } from "node:child_process";

/**
 * Reads lines: each says which processes there are now. The end of the lines without an empty one
 * before it is our death. Arguments: the seconds of grace.
 */
const SCRIPT = `
while read -r line; do targets=$line; done
[ -n "$targets" ] || exit 0
kill -s TERM -- $targets 2>/dev/null
kill -s CONT -- $targets 2>/dev/null
left=$1
alive() { for target in $targets; do kill -s 0 -- "$target" 2>/dev/null && return 0; done; return 1; }
while [ "$left" -gt 0 ] && alive; do sleep 1; left=$((left - 1)); done
kill -s KILL -- $targets 2>/dev/null
`;

/**
 * A shell that waits at a pipe, and ends the workers when we are gone. Workers that are told
 * nothing by the end of a pipe of their own would go on for ever.
 */
export class LastWill {
  readonly #heir: ChildProcess;
  readonly #ended: Promise<void>;
  #said = "";

  constructor(graceMs: number) {
    // Whoever ends our process group must not end it first.
    this.#heir = spawn("sh", ["-c", SCRIPT, "sh", String(Math.ceil(graceMs / 1000))], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#ended = new Promise((resolve) => {
      this.#heir.once("exit", () => resolve());
      // Where there is no shell, there is no will.
      this.#heir.once("error", () => resolve());
    });
    this.#heir.stdin!.on("error", () => {});
  }

  /** @param targets processes, and groups by negative numbers. */
  update(targets: readonly number[]): void {
    const line = targets.join(" ");
    if (line === this.#said) return;
    this.#said = line;
    this.#heir.stdin!.write(`${line}\n`);
  }

  /** There is nobody left to care for. */
  async close(): Promise<void> {
    this.update([]);
    this.#heir.stdin!.end();
    await this.#ended;
  }
}
