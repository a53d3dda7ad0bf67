import { connect } from "node:net";
import type { Handler } from "../../host/bus/bindings.ts";
import { Connection } from "../../host/bus/connection.ts";
import { symbol } from "../../host/bus/values.ts";
import { type MappableFile, openFile } from "../../host/mapping/index.ts";
import type { MappingName } from "../../host/mapping/name.ts";
import { symbols } from "../bus_captures.ts";
import { CollectingLogger } from "./log.ts";

/** Connects to a supervisor, and speaks the bus. */
export function dial(socket: string): Connection {
  return new Connection({
    socket: connect(socket),
    accepting: false,
    log: new CollectingLogger(),
  });
}

/** Registers a worker that answers `setup_utilization_observer` by `answer`. Resolves to its id. */
export function register(
  connection: Connection,
  answer: Handler,
  { name = "odd", processId = null }: { name?: string; processId?: number | null } = {},
): Promise<unknown> {
  const worker = connection.bind("worker", { setup_utilization_observer: answer });
  const options = { process_id: processId, state: symbols({ name }) };
  return connection.invoke("supervisor", "register", [worker], { options });
}

/** Schema rows as they go over the wire. */
export function wireRows(rows: readonly (readonly [unknown, string, unknown, ...unknown[]])[]) {
  return rows.map(([name, type, ...rest]) => [
    typeof name === "string" ? symbol(name) : name,
    symbol(type),
    ...rest,
  ]);
}

const ROWS = wireRows([
  ["jobs_total", "u64", 0],
  ["jobs_active", "u64", 8],
]);

/**
 * A worker as Ruby has them: it tells no incarnation, keeps its values in a registry of its own,
 * and writes all of them into whatever segment it is given. It reconnects only when told.
 */
export class RubyWorker {
  readonly values: BigUint64Array<ArrayBuffer> = new BigUint64Array(2);
  readonly #mapping: MappingName | undefined;
  #connection: Connection | null = null;
  #segment: BigUint64Array | null = null;
  #file: MappableFile | null = null;
  #offset = 0;

  constructor(mapping?: MappingName) {
    this.#mapping = mapping;
  }

  register(socket: string, name: string): Promise<unknown> {
    this.#connection = dial(socket);
    const setup: Handler = ([path, size, offset]) => {
      this.#file = openFile(path as string, { write: true, mapping: this.#mapping });
      this.#offset = offset as number;
      const view = this.#file.map(this.#offset, size as number);
      this.#segment = view && new BigUint64Array(view.buffer, view.byteOffset, 2);
      this.#write();
      return ROWS;
    };
    return register(this.#connection, setup, { name, processId: process.pid });
  }

  /** Loses the connection, and goes on writing where it was told to. */
  drop(): void {
    this.#connection?.close();
  }

  add(by: number): void {
    this.values[0]! += BigInt(by);
    this.#write();
  }

  #write(): void {
    const { values } = this;
    if (this.#segment !== null)
      for (let i = 0; i < values.length; i++) this.#segment[i] = values[i]!;
    else this.#file?.write(new Uint8Array(values.buffer), this.#offset);
  }
}
