// A terminal to be looked at: a shell in tmux, which draws what a person would see.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterTest, type Test } from "./after_test.ts";

const PATIENCE_MS = 20_000;
const PROMPT = "ready$";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

function tmuxVersion(): string | null {
  try {
    return execFileSync("tmux", ["-V"], { encoding: "utf8" }).trim();
  } catch {
    return null;
  }
}

/** Why there is no terminal here, or false if there is one. */
export const noTerminal: string | false =
  tmuxVersion() === null && "tmux is not installed: apt-get install tmux";
if (noTerminal) console.warn(`SKIPPED, ${noTerminal}`);

/** A shell of its own in a terminal of its own. */
export class Terminal {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  static async open(
    test: Test,
    { columns, rows }: Size,
    env: NodeJS.ProcessEnv = {},
  ): Promise<Terminal> {
    const folder = mkdtempSync(join(tmpdir(), "um-"));
    const terminal = new Terminal(join(folder, "tmux"));
    const { PATH, HOME } = process.env;
    const own = { PATH, HOME, LC_ALL: "C.UTF-8", ...env };
    const size = ["-x", String(columns), "-y", String(rows)];
    terminal.#tmux(["new-session", "-d", ...size, "sh -i"], own);
    afterTest(test, () => {
      terminal.#tmux(["kill-server"]);
      rmSync(folder, { recursive: true, force: true });
    });
    // A shell of root has its own idea of a prompt in its environment; and on Deno the rest of the
    // environment is there as well.
    const colours = env.NO_COLOR === undefined ? "unset NO_COLOR; " : "";
    terminal.#tmux(["send-keys", "-l", `${colours}PS1='${PROMPT} '; clear`]);
    terminal.keys("Enter");
    await terminal.until("a prompt", (screen) => screen.startsWith(PROMPT));
    return terminal;
  }

  #tmux(args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
    // Nobody's own configuration, and nobody's own server.
    const all = ["-u", "-f", "/dev/null", "-S", this.#socket, ...args];
    return execFileSync("tmux", all, { env, encoding: "utf8" });
  }

  /** Types a command and enters it. */
  run(command: readonly string[]): void {
    const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    this.#tmux(["send-keys", "-l", `clear; ${quoted}`]);
    this.keys("Enter");
  }

  /** Presses keys, by tmux's names. */
  keys(...names: readonly string[]): void {
    this.#tmux(["send-keys", ...names]);
  }

  resize({ columns, rows }: Size): void {
    this.#tmux(["resize-window", "-x", String(columns), "-y", String(rows)]);
  }

  /** What is on the screen. */
  get screen(): string {
    return this.#tmux(["capture-pane", "-p"]);
  }

  /** The same with its escape sequences. */
  get styled(): string {
    return this.#tmux(["capture-pane", "-p", "-e"]);
  }

  /** The codes of the style in which a text is written: 1 is bold, 2 is dim, 31 is red. */
  styleOf(text: string): number[] {
    const { styled } = this;
    const at = styled.indexOf(text);
    if (at === -1) throw new Error(`Not on the screen: "${text}"\n${styled}`);
    let codes: number[] = [];
    for (const piece of styled.slice(0, at).split("\x1b[").slice(1)) {
      for (const code of piece.slice(0, piece.indexOf("m")).split(";").map(Number)) {
        if (code === 0) codes = [];
        else if (code === 39) codes = codes.filter((other) => other < 30 || other > 38);
        else if (code !== 49) codes.push(code);
      }
    }
    return codes;
  }

  get #state(): string {
    return this.#tmux(["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim();
  }

  /** Whether a program has the screen for itself, without a cursor. */
  get isTaken(): boolean {
    return this.#state === "1 0";
  }

  /** Whether the shell has its screen and its cursor. */
  get isFree(): boolean {
    return this.#state === "0 1" && this.screen.trimEnd().endsWith(PROMPT);
  }

  /** Waits for a screen, and returns it. */
  async until(what: string, condition: (screen: string) => boolean): Promise<string> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const { screen } = this;
      if (condition(screen)) return screen;
      if (performance.now() > deadline) {
        throw new Error(`Waited in vain for ${what}. On the screen is:\n${screen}`);
      }
      await sleep(50);
    }
  }
}
