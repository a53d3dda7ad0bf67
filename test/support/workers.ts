import { closeSync, openSync, writeSync } from "node:fs";
import type { WorkerController } from "../../host/worker_controller.ts";
import type { Row } from "../reference.ts";

/** A worker without a process: it writes its segment when it is told its place. */
export class FakeWorker implements WorkerController {
  readonly id: number;
  readonly processId: number | null = null;
  readonly state: Readonly<Record<string, unknown>>;
  readonly rows: readonly Row[];
  bytes: Uint8Array;
  place: { path: string; size: number; offset: number } | null = null;
  readonly worker: WorkerController["worker"] = {
    setupUtilizationObserver: async (path, size, offset) => {
      this.place = { path, size, offset };
      this.write();
      return this.rows;
    },
  };

  constructor(
    id: number,
    state: Readonly<Record<string, unknown>>,
    rows: readonly Row[],
    bytes: Uint8Array,
  ) {
    this.id = id;
    this.state = state;
    this.rows = rows;
    this.bytes = bytes;
  }

  /** Writes its bytes into its segment, as a worker without a mapping does. */
  write(bytes: Uint8Array = this.bytes): void {
    this.bytes = bytes;
    const descriptor = openSync(this.place!.path, "r+");
    try {
      writeSync(descriptor, bytes, 0, bytes.length, this.place!.offset);
    } finally {
      closeSync(descriptor);
    }
  }
}
