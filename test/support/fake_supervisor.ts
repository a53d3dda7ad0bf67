import { createServer } from "node:net";
import { Connection } from "../../host/bus/connection.ts";
import type { ObjectReference } from "../../host/bus/values.ts";
import { CollectingLogger } from "./log.ts";

/** What a worker has said as it registered. */
export interface Visit {
  readonly connection: Connection;
  /** Tells the worker its place; resolves to its schema. */
  setUp(path: unknown, size: unknown, offset: unknown): Promise<unknown>;
  /** Ends the registration: the worker is told that it has an id. */
  confirm(): void;
}

/** A server that tells workers what it likes. */
export class FakeSupervisor {
  readonly visits: Visit[] = [];
  readonly #server: ReturnType<typeof createServer>;

  constructor() {
    this.#server = createServer((socket) => {
      const connection = new Connection({ socket, accepting: true, log: new CollectingLogger() });
      connection.bind("supervisor", {
        register: ([worker]) =>
          new Promise((resolve) => {
            const target = worker as ObjectReference;
            this.visits.push({
              connection,
              setUp: (...place) => connection.invoke(target, "setup_utilization_observer", place),
              confirm: () => resolve(this.visits.length),
            });
          }),
      });
    });
  }

  async listen(path: string): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(path, done));
    return this;
  }

  close(): void {
    for (const { connection } of this.visits) connection.close();
    this.#server.close();
  }
}
