#!/usr/bin/env node

// The command line: arguments in, exit code out. A command is loaded when it is called.

import { VERSION } from "../version.ts";
import { printable, UsageError } from "./arguments.ts";
import { HELP } from "./help.ts";
import { print } from "./output.ts";

/** What runs a command: its arguments, its exit code. */
type Command = (args: readonly string[]) => Promise<number>;

const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["demo", async () => (await import("./demo.ts")).demo],
  ["doctor", async () => (await import("./doctor.ts")).doctor],
  ["inspect", async () => (await import("./inspect.ts")).inspect],
  ["run", async () => (await import("./run.ts")).run],
  ["status", async () => (await import("./status.ts")).status],
  ["supervise", async () => (await import("./supervise.ts")).supervise],
  ["top", async () => (await import("./top.ts")).top],
]);

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    await print(HELP);
    return 0;
  }
  if (name === "--version") {
    await print(`${VERSION}\n`);
    return 0;
  }
  const load = COMMANDS.get(name);
  if (load !== undefined) return await (await load())(args);
  if (name.startsWith("-")) throw new UsageError(`Unknown option "${name}"`);
  throw new UsageError(`Unknown command "${name}": not one of ${[...COMMANDS.keys()].join(", ")}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = error instanceof UsageError ? 2 : 1;
  console.error(`utilization: ${describe(error)}`);
}

/** One line for what may happen; where it happened for what may not. */
function describe(error: unknown): string {
  if (error instanceof UsageError) {
    const help = ["utilization", error.command, "--help"].filter(Boolean).join(" ");
    return `${printable(error.message)}\nSee ${help}`;
  }
  if (!(error instanceof Error)) return printable(String(error));
  const isBug = error instanceof TypeError || error instanceof ReferenceError;
  return isBug ? String(error.stack) : printable(error.message);
}
