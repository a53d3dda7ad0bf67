// Any number of registered workers without their processes: a real monitor with a real file, whose
// workers answer at once. Their values are written into the file as the workers would have.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { CoreSource } from "../../host/core.ts";
import type { Logger } from "../../host/log.ts";
import type { FileView } from "../../host/shared_file.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
import type { WorkerController } from "../../host/worker_controller.ts";
import type { Row } from "../reference.ts";

export const SEGMENT_SIZE = 512;

/** Eight 64-bit integers at offsets 0 to 56: one cache line of each segment. */
export const ROWS: readonly Row[] = Array.from({ length: 8 }, (_, i) => [
  `field_${i}`,
  "u64",
  i * 8,
]);

/** Warnings would mean that something else is measured than was meant. */
const log: Logger = {
  debug: () => {},
  info: () => {},
  warn: (message) => console.error(`warning: ${message}`),
  error: (message, ...details) => console.error(`error: ${message}`, ...details),
};

/** A worker that answers at once. */
class Simulated implements WorkerController {
  readonly id: number;
  readonly processId = null;
  readonly state: WorkerController["state"];
  /** Of the segment that it was given. */
  offset = -1;

  constructor(id: number, state: WorkerController["state"]) {
    this.id = id;
    this.state = state;
  }

  get worker(): WorkerController["worker"] {
    const setupUtilizationObserver = async (
      _path: string,
      _size: number,
      offset: number,
    ): Promise<unknown> => {
      this.offset = offset;
      return ROWS;
    };
    return { setupUtilizationObserver };
  }
}

export class Fleet {
  readonly monitor: UtilizationMonitor;
  /** Services that workers belong to in turn, so that those of one are never neighbours. */
  readonly services: readonly string[];
  readonly controllers: readonly WorkerController[];
  /** Where each worker's segment starts, in order of registration. */
  readonly offsets: Int32Array;
  /** Nanoseconds that the registration of each 1000 workers took. */
  readonly registrationTimes: readonly number[];

  private constructor(
    monitor: UtilizationMonitor,
    services: readonly string[],
    controllers: readonly WorkerController[],
    offsets: Int32Array,
    registrationTimes: readonly number[],
  ) {
    this.monitor = monitor;
    this.services = services;
    this.controllers = controllers;
    this.offsets = offsets;
    this.registrationTimes = registrationTimes;
  }

  /** Workers as a supervisor knows them, not registered yet. `more` is what each tells besides. */
  static controllers(
    size: number,
    serviceCount = 1,
    more: (index: number) => Readonly<Record<string, unknown>> = () => ({}),
  ): Simulated[] {
    return Array.from({ length: size }, (_, i) => {
      const name = `service_${i % serviceCount}`;
      const incarnation = (i + 1).toString(16).padStart(32, "0");
      return new Simulated(i + 1, { name, incarnation, ...more(i) });
    });
  }

  /**
   * Registers workers one after the other, and writes their values. `core` is another build of the
   * core than the one that supervisors use here.
   */
  static async create(
    folder: string,
    size: number,
    serviceCount = 1,
    controllers: readonly Simulated[] = Fleet.controllers(size, serviceCount),
    core?: CoreSource,
  ): Promise<Fleet> {
    const path = join(
      folder,
      `fleet-${size}-${serviceCount}-${randomBytes(3).toString("hex")}.shm`,
    );
    const monitor = new UtilizationMonitor({
      path,
      segmentSize: SEGMENT_SIZE,
      maxSize: 2 ** 30,
      limits: { logLines: Number.POSITIVE_INFINITY },
      core,
      log,
    });
    const services = Array.from({ length: serviceCount }, (_, i) => `service_${i}`);
    const offsets = new Int32Array(size);
    const times: number[] = [];
    let start = performance.now();
    for (let i = 0; i < size; i++) {
      const controller = controllers[i]!;
      await monitor.register(controller);
      offsets[i] = controller.offset;
      if ((i + 1) % 1000 !== 0) continue;
      const now = performance.now();
      times.push((now - start) * 1e6);
      start = now;
    }
    const fleet = new Fleet(monitor, services, controllers, offsets, times);
    fleet.#write();
    return fleet;
  }

  get size(): number {
    return this.offsets.length;
  }

  /** The file as the monitor reads it. */
  view(): FileView {
    const { file, usedSize } = this.monitor.allocator!;
    return file.view(usedSize);
  }

  /** Values over the whole range of 64 bits, so that sums need more. The monitor only reads. */
  #write(): void {
    const { file, usedSize } = this.monitor.allocator!;
    const words = new BigInt64Array(usedSize / 8);
    let value = 0x9e3779b97f4a7c15n;
    for (const offset of this.offsets) {
      for (let i = 0; i < ROWS.length; i++) {
        value = BigInt.asIntN(64, value * 0x5851f42d4c957f2dn + 1n);
        words[offset / 8 + i] = value;
      }
    }
    file.write(new Uint8Array(words.buffer), 0);
  }

  /** The exact sums of the fields of a service, as the monitor says. */
  sums(service: string): bigint[] {
    const data = this.monitor.sample({ bigint: true })[service]!;
    return ROWS.map(([name]) => BigInt(data[name]!));
  }

  close(): Promise<void> {
    return this.monitor.close();
  }
}
