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
  #confirming = true;
  #isSwallowing = false;
  #holding: ((release: () => void) => void) | null = null;

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
      let chunkCount = 0;
      worker.on("data", (chunk: Buffer) => {
        if (chunkCount++ === 0 || !this.#isSwallowing) supervisor.write(chunk);
      });
      supervisor.on("data", (chunk: Buffer) => {
        const holding = this.#holding;
        this.#holding = null;
        if (holding !== null) holding(() => worker.write(chunk));
        else if (!this.#confirming && isRegistered(chunk)) this.cut({ open: false });
        else worker.write(chunk);
      });
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

  /** From now on nothing that workers say after their first words arrives. */
  swallow(): void {
    this.#isSwallowing = true;
  }

  /** Lets new connections through again. */
  open(): void {
    this.#open = true;
    this.#confirming = true;
  }

  /** Holds back what the supervisor says next. Resolves, when it has, to what lets it through. */
  hold(): Promise<() => void> {
    return new Promise((resolve) => {
      this.#holding = resolve;
    });
  }

  /** Cuts all connections, and each new one just before the worker learns that it is registered. */
  cutBeforeConfirmation(): void {
    this.#confirming = false;
    this.cut();
  }

  close(): void {
    this.cut({ open: false });
    this.#server.close();
  }
}

/** Whether these bytes are the answer to a worker's first call: Return(1, small integer). */
function isRegistered(bytes: Buffer): boolean {
  return bytes.length === 4 && bytes[0] === 0xd5 && bytes[1] === 1 && bytes[2] === 1;
}
