// Any number of registered workers without their processes: a real monitor with a real file, whose
// workers answer at once. Their values are written into the file as the workers would have.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { CoreSource } from "../../host/core.ts";
import type { Logger } from "../../host/log.ts";
import type { FileView } from "../../host/shared_file.ts";
import { UtilizationMonitor } from "../../host/utilization_monitor.ts";
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

export class Fleet {
  readonly monitor: UtilizationMonitor;
  /** Services that workers belong to in turn, so that those of one are never neighbours. */
  readonly services: readonly string[];
  /** Where each worker's segment starts, in order of registration. */
  readonly offsets: Int32Array;
  /** Nanoseconds that the registration of each 1000 workers took. */
  readonly registrationTimes: readonly number[];

  private constructor(
    monitor: UtilizationMonitor,
    services: readonly string[],
    offsets: Int32Array,
    registrationTimes: readonly number[],
  ) {
    this.monitor = monitor;
    this.services = services;
    this.offsets = offsets;
    this.registrationTimes = registrationTimes;
  }

  /** `core` is another build of the core than the one that supervisors use here. */
  static async create(
    folder: string,
    size: number,
    serviceCount = 1,
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
      core,
      log,
    });
    const services = Array.from({ length: serviceCount }, (_, i) => `service_${i}`);
    const offsets = new Int32Array(size);
    const times: number[] = [];
    let start = performance.now();
    for (let i = 0; i < size; i++) {
      await monitor.register({
        id: i + 1,
        processId: null,
        state: {
          name: services[i % serviceCount]!,
          incarnation: (i + 1).toString(16).padStart(32, "0"),
        },
        worker: {
          setupUtilizationObserver: async (_path, _size, offset) => {
            offsets[i] = offset;
            return ROWS;
          },
        },
      });
      if ((i + 1) % 1000 !== 0) continue;
      const now = performance.now();
      times.push((now - start) * 1e6);
      start = now;
    }
    const fleet = new Fleet(monitor, services, offsets, times);
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
