import { connect, type Socket } from "node:net";
import { Connection } from "../bus/connection.ts";
import { RemoteError } from "../bus/errors.ts";
import { ObjectReference, plain, RemoteException, text } from "../bus/values.ts";
import { exactJson } from "../exact_json.ts";
import { silentLogger } from "../log.ts";
import { checkSocketPath } from "../unix_socket.ts";
import { withOptions } from "./arguments.ts";
import { STATUS_HELP } from "./help.ts";
import { print } from "./output.ts";
import { placeToAsk } from "./place.ts";

const OPTIONS = {
  name: { type: "string" },
  dir: { type: "string" },
  socket: { type: "string" },
  totals: { type: "boolean" },
  "by-worker": { type: "boolean" },
} as const;

const PATIENCE_MS = 5000;
/** The answer was asked for: it may be as large as it needs to be. */
const FRAME_SIZE = 256 * 1024 * 1024;
/** Asks a running supervisor. */
export function status(args: readonly string[]): Promise<number> {
  return withOptions("status", args, STATUS_HELP, OPTIONS, async (values) => {
    const path = placeToAsk(values);
    const { totals = false, "by-worker": byWorker = false } = values;
    const connection = new Connection({
      socket: await open(path),
      accepting: false,
      log: silentLogger,
      limits: { frameSize: FRAME_SIZE },
    });
    try {
      const answer = await ask(connection, { totals, by_worker: byWorker });
      await print(`${answer}\n`);
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`Cannot get the status of the supervisor at "${path}": ${message}`);
    } finally {
      connection.close();
    }
    return 0;
  });
}

async function open(path: string): Promise<Socket> {
  checkSocketPath(path);
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve).once("error", reject);
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isAbsent = code === "ENOENT" || code === "ECONNREFUSED";
    throw new Error(
      isAbsent ? `No supervisor listens on "${path}"` : `Cannot reach the supervisor: ${message}`,
    );
  }
  return socket;
}

/** The status as JSON text. */
async function ask(
  connection: Connection,
  options: { readonly totals: boolean; readonly by_worker: boolean },
): Promise<string> {
  const deadline = performance.now() + PATIENCE_MS;
  try {
    const answer = await connection.invoke("supervisor", "status_json", [], {
      options,
      timeoutMs: PATIENCE_MS,
    });
    const json = plain(answer);
    if (typeof json !== "string" || !isJson(json)) throw new Error("it did not answer with JSON");
    return json;
  } catch (error) {
    // A Ruby supervisor.
    if (!(error instanceof RemoteError) || error.className !== "NoMethodError") throw error;
  }
  for (const name of Object.keys(options) as (keyof typeof options)[]) {
    if (!options[name]) continue;
    console.error(`utilization: This supervisor cannot tell --${name.replace("_", "-")}`);
  }
  const timeoutMs = Math.max(1, deadline - performance.now());
  return exactJson(
    readable(plain(await connection.invoke("supervisor", "status", [], { timeoutMs }))),
  );
}

/** Also keeps escape sequences of a stranger off the terminal: JSON has no raw control characters. */
function isJson(json: string): boolean {
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

/** What is left of Ruby in a plain value, for people. */
function readable(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return text(value);
  if (value instanceof ObjectReference) return "(object)";
  if (value instanceof RemoteException) {
    return { error: [value.className, value.message].filter(Boolean).join(": ") };
  }
  if (Array.isArray(value)) return value.map(readable);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readable(item)]));
}
