import { createServer, connect as dial, type Socket } from "node:net";

/**
 * Stands between workers and a supervisor, so that a connection can be cut without either of them
 * having done anything.
 */
export class Cuttable {
  readonly path: string;
  readonly #pairs: Set<readonly [Socket, Socket]> = new Set();
  readonly #server: ReturnType<typeof createServer>;
  #open = true;

  private constructor(path: string, target: string) {
    this.path = path;
    this.#server = createServer((worker) => {
      const supervisor = dial(target);
      const pair = [worker, supervisor] as const;
      this.#pairs.add(pair);
      for (const socket of pair) {
        socket.on("error", () => {});
        socket.on("close", () => {
          this.#pairs.delete(pair);
          for (const end of pair) end.destroy();
        });
      }
      worker.pipe(supervisor);
      supervisor.pipe(worker);
      if (!this.#open) for (const end of pair) end.destroy();
    });
  }

  static async listen(path: string, target: string): Promise<Cuttable> {
    const cuttable = new Cuttable(path, target);
    await new Promise<void>((done) => cuttable.#server.listen(path, done));
    return cuttable;
  }

  /** How many connections there are. */
  get size(): number {
    return this.#pairs.size;
  }

  /** Cuts all connections. New ones come through, if `open`. */
  cut({ open = true }: { open?: boolean } = {}): void {
    this.#open = open;
    for (const pair of this.#pairs) for (const end of pair) end.destroy();
  }

  /** Lets new connections through again. */
  open(): void {
    this.#open = true;
  }

  close(): void {
    this.cut({ open: false });
    this.#server.close();
  }
}
