// What shall be run: found as a shell would find it, and known for what it is.

import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

type Environment = Readonly<Record<string, string | undefined>>;

export interface Command {
  /** As it was given. */
  readonly file: string;
  readonly args: readonly string[];
  /** Where it was found. */
  readonly path: string;
  /** Whether Node.js runs it, so that `NODE_OPTIONS` reaches it. */
  readonly isNode: boolean;
  /** What Node.js would be given after its own name to run one script; null for other commands. */
  readonly script: readonly string[] | null;
}

/** There is nothing that could be run: shells end with these codes then. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  readonly exitCode: 126 | 127;

  constructor(message: string, exitCode: 126 | 127) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What runs scripts of package.json, or fetches what it runs: itself no script to share. */
const PACKAGE_MANAGERS: ReadonlySet<string> = new Set(["npm", "npx", "pnpm", "pnpx", "yarn"]);
const NODE = /^node(js)?$/;
/** `#!/usr/bin/env node`, `#!/usr/bin/env -S node --flag`, `#!/usr/bin/node`. */
const NODE_SHEBANG = /^#!.*?[/\s]node(js)?(\s|$)/;
/** Some package managers put shell scripts in the place of links. */
const NODE_SHIM = /^#!.*\bsh\n[\s\S]*?^\s*exec\s+("\$basedir\/node"|node)\s/m;
const HEAD_BYTES = 4096;

/** @throws {CommandError} when there is no such command, or it cannot be executed. */
export function findCommand(
  file: string,
  args: readonly string[],
  environment: Environment = process.env,
): Command {
  const path = locate(file, environment.PATH ?? "/usr/bin:/bin");
  const name = basename(file);
  const head = headOf(path);
  const isManager = PACKAGE_MANAGERS.has(name);
  const hasShebang = NODE_SHEBANG.test(head.split("\n", 1)[0]!);
  const isNode = NODE.test(name) || isManager || hasShebang || NODE_SHIM.test(head);
  let script: readonly string[] | null = null;
  if (NODE.test(name)) script = args.length > 0 ? args : null;
  else if (hasShebang && !isManager) script = [path, ...args];
  return { file, args, path, isNode, script };
}

function locate(file: string, searchPath: string): string {
  const folders = file.includes("/") ? [""] : searchPath.split(":");
  let found: string | null = null;
  for (const folder of folders) {
    const path = resolve(folder, file);
    if (!isFile(path)) continue;
    if (isExecutable(path)) return path;
    found ??= path;
  }
  const hint = /\.[cm]?[jt]s$/.test(file) && isFile(resolve(file)) ? `, "node ${file}" may be` : "";
  if (found !== null) throw new CommandError(`Cannot run "${found}": not executable${hint}`, 126);
  throw new CommandError(`Cannot run "${file}": no such command${hint}`, 127);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Empty where it may be executed and not read. */
function headOf(path: string): string {
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    const descriptor = openSync(path, "r");
    try {
      return head.toString("latin1", 0, readSync(descriptor, head));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return "";
  }
}

/**
 * What the service may be called when nobody has said it: as its package, where Node.js runs it,
 * else as its script or command.
 */
export function serviceNameOf({ file, args, isNode }: Command, folder: string): string {
  const script = args.find(
    (argument) => !argument.startsWith("-") && isFile(resolve(folder, argument)),
  );
  const main =
    isNode && !NODE.test(basename(file)) && script === undefined ? file : (script ?? file);
  const named = isNode
    ? packageName(script === undefined ? folder : dirname(resolve(folder, script)))
    : null;
  return named ?? basename(main, extname(main));
}

/** The name in the nearest package.json. */
function packageName(folder: string): string | null {
  try {
    const { name } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    if (typeof name === "string" && name !== "") return name;
  } catch {
    // None here, or none that can be read.
  }
  const parent = dirname(folder);
  return parent === folder ? null : packageName(parent);
}

/** `options` for NODE_OPTIONS, with a CommonJS module that is to be loaded first. */
export function withRequire(options: string | undefined, module: URL): string {
  const path = fileURLToPath(module);
  const isPlain = !/[\s"\\]/.test(path);
  const word = isPlain ? path : `"${path.replace(/["\\]/g, "\\$&")}"`;
  return [options?.trim(), `--require ${word}`].filter(Boolean).join(" ");
}
