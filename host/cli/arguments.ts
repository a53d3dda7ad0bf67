// What people write on the command line, as values.

import { parseArgs } from "node:util";
import { CONTROLS } from "../field.ts";
import { print } from "./output.ts";

/** A mistake on the command line: exit code 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
  /** The command whose help would help. */
  command: string | null = null;
}

interface OptionsConfig {
  readonly [name: string]: {
    readonly type: "string" | "boolean";
    readonly short?: string;
    /** Whether an empty value says something. */
    readonly mayBeEmpty?: boolean;
  };
}

/** The options that were given. */
export type OptionValues<Config extends OptionsConfig> = {
  readonly [Name in keyof Config]?: Config[Name]["type"] extends "boolean" ? boolean : string;
};

/**
 * Parses the options of `command`, and passes them to `action`. With `--help` among them it prints
 * `help` instead.
 *
 * @throws {UsageError} for what it does not know, and naming the command for those of `action`.
 */
export async function withOptions<const Config extends OptionsConfig>(
  command: string,
  args: readonly string[],
  help: string,
  config: Config,
  action: (values: OptionValues<Config>) => Promise<number>,
): Promise<number> {
  try {
    const options = { ...config, help: { type: "boolean", short: "h" } } as const;
    const values = parse(args, options) as OptionValues<Config> & { help?: boolean };
    if (values.help !== true) return await action(values);
    await print(help);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) error.command = command;
    throw error;
  }
}

function parse(args: readonly string[], options: OptionsConfig): object {
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({ args: [...args], options, allowPositionals: false }));
  } catch (error) {
    // The sentences that follow explain the parser.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]);
  }
  for (const [name, value] of Object.entries(values)) {
    if (value === "" && options[name]?.mayBeEmpty !== true)
      throw new UsageError(`Cannot use --${name} without a value`);
  }
  return values;
}

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["", 1000],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);
/** Timers cannot wait longer than 2^31 - 1 milliseconds. */
const LONGEST_HOURS = 596;

/** A duration in milliseconds. @throws {UsageError} */
export function parseDuration(option: string, text: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = Number(digits) * UNITS_MS.get(unit)!;
  if (ms >= 1 && ms <= LONGEST_HOURS * 3_600_000) return ms;
  throw new UsageError(
    `Cannot use --${option} "${text}": 500ms, 10s, 2m or a number of seconds is expected, from 1ms to ${LONGEST_HOURS}h`,
  );
}

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
]);
/** The core's offsets are 32-bit integers. */
const LARGEST_SIZE = 2 ** 31 - 1;

/** A size in bytes. @throws {UsageError} */
export function parseSize(option: string, text: string): number {
  const [, digits, unit = ""] = /^(\d+)((?:[kmg]i)?b)?$/i.exec(text) ?? [];
  const size = Number(digits) * UNIT_BYTES.get(unit.toLowerCase())!;
  if (size >= 1 && size <= LARGEST_SIZE) return size;
  throw new UsageError(
    `Cannot use --${option} "${text}": 512, 32KiB or 64MiB is expected, from 1 byte to below 2GiB`,
  );
}

/** Permission bits. @throws {UsageError} */
export function parseMode(option: string, text: string): number {
  const [, digits] = /^(?:0o?)?([0-7]{3})$/.exec(text) ?? [];
  if (digits !== undefined) return Number.parseInt(digits, 8);
  throw new UsageError(
    `Cannot use --${option} "${text}": an octal mode such as 0600 or 0660 is expected`,
  );
}

/** A whole number. @throws {UsageError} */
export function parseCount(option: string, text: string, largest: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (count >= 1 && count <= largest) return count;
  throw new UsageError(
    `Cannot use --${option} "${text}": a number from 1 to ${largest} is expected`,
  );
}

/** Text that may have come from elsewhere, for a terminal: one line, no control characters. */
export function printable(text: string): string {
  return text.replace(/\s*\n\s*/g, " | ").replace(CONTROLS, "\u{fffd}");
}
