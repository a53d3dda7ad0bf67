import { rmSync } from "node:fs";
import { journalPath } from "../journal.ts";
import { UtilizationMonitor, type UtilizationMonitorOptions } from "../utilization_monitor.ts";
import type { WorkerController } from "../worker_controller.ts";
import { printLine } from "./output.ts";

export interface RunMonitorOptions extends UtilizationMonitorOptions {
  readonly isJson: boolean;
  /** Whether file and journal stay for the next supervisor. */
  readonly isKept: boolean;
}

/** The monitor of "run": says who has registered, and leaves no file behind. */
export class RunMonitor extends UtilizationMonitor {
  /** Is told the process of each worker that registers. */
  onRegister: (processId: number) => void = () => {};
  readonly #isJson: boolean;
  readonly #isKept: boolean;

  constructor({ isJson, isKept, ...options }: RunMonitorOptions) {
    super(options);
    this.#isJson = isJson;
    this.#isKept = isKept;
  }

  override emit(): void {
    if (this.#isJson) printLine(this);
  }

  override async register(controller: WorkerController): Promise<void> {
    await super.register(controller);
    if (controller.processId !== null) this.onRegister(controller.processId);
  }

  override async close(): Promise<void> {
    // As long as we own them. Where the file was never opened they are somebody else's.
    if (!this.#isKept && this.allocator?.file.linked) {
      rmSync(this.path, { force: true });
      rmSync(journalPath(this.path), { force: true });
    }
    await super.close();
  }
}
