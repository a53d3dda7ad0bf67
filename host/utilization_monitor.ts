// Sums what the workers of each service count, without asking any of them.

import { statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DETACHED, LIVE } from "../assembly/layout.ts";
import { exactJson } from "./exact_json.ts";
import { FileLock } from "./file_lock.ts";
import { IntervalLoop } from "./interval_loop.ts";
import { type Logger, stderrLogger } from "./log.ts";
import type { MappingName } from "./mapping/index.ts";
import { Membership } from "./membership.ts";
import type { Sample, SampleOptions, Status, StatusOptions, WorkerSample } from "./sample.ts";
import { SegmentAllocator, type SegmentAllocatorOptions } from "./segment_allocator.ts";
import { Services } from "./services.ts";
import { grant } from "./unix_socket.ts";
import { serviceName, stateText, type WorkerController } from "./worker_controller.ts";

export interface UtilizationMonitorOptions extends SegmentAllocatorOptions {
  /** Path of the shared file; `utilization.shm` in the working folder by default. */
  path?: string | undefined;
  /** Seconds between two rounds of {@link UtilizationMonitor.run}; 10 by default. */
  interval?: number | undefined;
  /** How long a worker may take to answer when it registers; 5000 by default. */
  setupTimeoutMs?: number | undefined;
  /**
   * How long a segment is kept for a worker that has dropped its connection and whose process
   * cannot be seen from here; 60 000 by default.
   */
  leaseMs?: number | undefined;
  /** Services whose totals are kept, those without workers included; 1024 by default. */
  maxServices?: number | undefined;
  /** Group id that the file is handed to. */
  groupId?: number | undefined;
  log?: Logger | undefined;
}

/** Timers of 2^31 ms and more fire at once. */
const LONGEST_INTERVAL = 2_147_483;

const EMPTY: Sample = Object.freeze(Object.create(null));
/** statfs types of file systems that live in memory: tmpfs and ramfs. */
const MEMORY_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/**
 * Hands a segment of a shared file to each worker that registers, and adds up what they count.
 *
 * @example
 * ```ts
 * const monitor = new UtilizationMonitor({ path: "/run/app/app.shm", interval: 10 });
 * await using supervisor = await Supervisor.listen({ monitors: [monitor] });
 * for await (const sample of monitor.run()) console.log(sample.web?.requests_active);
 * ```
 */
export class UtilizationMonitor {
  /** The name of this kind of monitor in a supervisor's status. */
  static readonly monitorType: string = "utilization_monitor";

  /** Absolute path of the shared file. */
  readonly path: string;
  /** Seconds between two rounds. */
  readonly interval: number;
  readonly #options: UtilizationMonitorOptions;
  readonly #log: Logger;
  #opening: Promise<void> | null = null;
  readonly #closing = new AbortController();
  #lock: FileLock | null = null;
  #parts: { allocator: SegmentAllocator; services: Services; membership: Membership } | null = null;
  /** What is wrong with the file now, so that it is said once. */
  #complaint: string | null = null;

  /**
   * Touches nothing yet: the file is created by {@link open}.
   *
   * @throws {RangeError} when the segment size is not a positive multiple of 64, or the interval
   * not a positive number.
   */
  constructor(options: UtilizationMonitorOptions = {}) {
    const { segmentSize = 512, interval = 10 } = options;
    if (!(segmentSize > 0) || segmentSize % 64 !== 0) {
      throw new RangeError(
        `Cannot use segment size ${segmentSize}: must be a multiple of 64, one cache line`,
      );
    }
    if (!(interval > 0 && interval <= LONGEST_INTERVAL)) {
      throw new RangeError(
        `Cannot use interval ${interval}: must be above 0 and at most ${LONGEST_INTERVAL} seconds`,
      );
    }
    this.path = resolve(options.path ?? "utilization.shm");
    this.interval = interval;
    this.#options = options;
    this.#log = options.log ?? stderrLogger;
  }

  /** Bytes of a segment. */
  get segmentSize(): number {
    return this.#options.segmentSize ?? 512;
  }

  /** How this process reads the file; null before {@link open}. */
  get mapping(): MappingName | null {
    return this.#parts?.allocator.file.mapping ?? null;
  }

  /** One sentence: why {@link mapping} is what it is. */
  get mappingReason(): string | null {
    return this.#parts?.allocator.file.mappingReason ?? null;
  }

  /** The file's segments; null before {@link open}. */
  get allocator(): SegmentAllocator | null {
    return this.#parts?.allocator ?? null;
  }

  /** Segments whose worker is gone from view and may still write; they are in the totals. */
  get detachedCount(): number {
    return this.#parts?.membership.departures.detachedCount ?? 0;
  }

  /**
   * Takes the file into possession and creates it. A `Supervisor` calls this once it owns its
   * socket; `register` calls it otherwise. Later calls do nothing.
   *
   * @throws {Error} when another supervisor owns the file, or it cannot be created.
   */
  open(): Promise<void> {
    if (this.#closing.signal.aborted)
      return Promise.reject(new Error(`Cannot open "${this.path}": the monitor is closed`));
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<void> {
    this.#lock = await FileLock.acquire(this.path);
    const { groupId, mode = 0o600, maxServices = 1024 } = this.#options;
    const log = this.#log;
    let allocator: SegmentAllocator | undefined;
    try {
      allocator = new SegmentAllocator(this.path, { reuseDelayMs: 1000, ...this.#options });
      grant(this.path, { mode, groupId });
      const services = new Services(allocator, maxServices, log);
      const { setupTimeoutMs = 5000, leaseMs = 60_000 } = this.#options;
      const membership = new Membership({
        path: this.path,
        allocator,
        services,
        setupTimeoutMs,
        leaseMs,
        log,
      });
      this.#parts = { allocator, services, membership };
    } catch (error) {
      allocator?.close({ unlink: true });
      await this.#lock.release();
      this.#lock = null;
      throw error;
    }
    log.info(`Sharing "${this.path}" (mapping: ${this.mapping}, ${this.mappingReason})`);
    this.#warnOfDisk();
  }

  #warnOfDisk(): void {
    let type: number;
    try {
      type = statfsSync(dirname(this.path)).type;
    } catch {
      return;
    }
    if (MEMORY_FILE_SYSTEMS.has(type)) return;
    this.#log.warn(
      `"${this.path}" is not on a memory file system: workers pay about 20 µs for the first store after each write-back`,
    );
  }

  /**
   * Gives the worker a segment and asks it for its schema. Resolves when that is settled, whether
   * or not the worker provided one: what went wrong is logged, and leaves nothing behind.
   *
   * @throws {Error} when the id is registered already.
   */
  async register(controller: WorkerController): Promise<void> {
    await this.open();
    if (this.#complainIfUnlinked()) return;
    await this.#parts?.membership.register(controller);
  }

  /** The worker's connection is gone. Its counters stay in the totals, exactly once. */
  remove(controller: WorkerController): void {
    this.#parts?.membership.remove(controller);
  }

  /** The worker will not write any more: like {@link remove}, without having to wait for its end. */
  unregister(controller: WorkerController): void {
    this.#parts?.membership.unregister(controller);
  }

  /**
   * Looks now whether the holders of detached segments still live; the monitor does so by itself
   * from time to time.
   */
  checkHolders(): void {
    this.#parts?.membership.departures.check();
  }

  /** The live workers' values, aggregated by service and field; the original's `as_json`. */
  sample({ bigint = false }: SampleOptions = {}): Sample {
    return this.#gather(LIVE)?.sample(bigint) ?? EMPTY;
  }

  /**
   * The counters of live, detached and retired workers by service: they never go backwards when a
   * worker dies. A service without workers stays, with `worker_count: 0`.
   */
  totals({ bigint = false }: SampleOptions = {}): Sample {
    return this.#gather(LIVE, DETACHED)?.totals(bigint) ?? EMPTY;
  }

  /** Reads the segments now; null before the file is open. */
  #gather(...lists: readonly (typeof LIVE | typeof DETACHED)[]): Services | null {
    if (this.#parts === null) return null;
    const { allocator, services } = this.#parts;
    const { core, sampler, usedSize } = allocator;
    core.exports.reset();
    for (const list of lists) sampler.accumulate(services.groupIndices(), list, usedSize);
    if (allocator.file.shrunk) {
      this.#complain(
        `"${this.path}" was truncated: reading it by file I/O, workers that map it will die`,
      );
    }
    return services;
  }

  /** The values of each live worker, in registration order. */
  sampleByWorker({ bigint = false }: SampleOptions = {}): WorkerSample[] {
    if (this.#parts === null) return [];
    const { allocator, membership } = this.#parts;
    const samples: WorkerSample[] = [];
    for (const { controller, group, offset, holder } of membership.live.values()) {
      const { id, processId, state } = controller;
      const seen = holder.evidence === "mapping" ? "mmap" : "unknown";
      samples.push({
        id,
        processId,
        service: serviceName(state),
        mapping: stateText(state, "mapping") ?? seen,
        data: allocator.decode(group.index, offset, group.fields, bigint),
      });
    }
    return samples;
  }

  /** For `JSON.stringify`: plain numbers, integers beyond 2^53 rounded. */
  toJSON(): Sample {
    return this.sample();
  }

  /** The sample as JSON text, every integer with all its digits, NaN and infinities as null. */
  stringify(): string {
    return this.#gather(LIVE)?.sampleText() ?? "{}";
  }

  /** What a supervisor answers for this monitor, of one moment. `data` has the original's shape. */
  status({ bigint = false, totals = false, byWorker = false }: StatusOptions = {}): Status {
    const services = totals ? this.#gather(LIVE, DETACHED) : this.#gather(LIVE);
    return {
      type: UtilizationMonitor.monitorType,
      data: services?.sample(bigint) ?? EMPTY,
      ...(totals && { totals: services?.totals(bigint) ?? EMPTY }),
      ...(byWorker && { workers: this.sampleByWorker({ bigint }) }),
    };
  }

  /**
   * {@link status} as exact JSON text. The command line prints it, and a supervisor answers
   * `status_json` with it.
   */
  statusText({ totals = false, byWorker = false }: StatusOptions = {}): string {
    const services = totals ? this.#gather(LIVE, DETACHED) : this.#gather(LIVE);
    const members = [
      `"type":${JSON.stringify(UtilizationMonitor.monitorType)}`,
      `"data":${services?.sampleText() ?? "{}"}`,
    ];
    if (totals) members.push(`"totals":${services?.totalsText() ?? "{}"}`);
    if (byWorker) members.push(`"workers":${exactJson(this.sampleByWorker({ bigint: true }))}`);
    return `{${members.join(",")}}`;
  }

  /** What a round does with its sample: it is logged. To be overridden. */
  emit(metrics: Sample): void {
    this.#log.info("Utilization:", { metrics });
  }

  /**
   * Samples and emits, once at once and then `interval` seconds after each round. An error is
   * logged, and the loop goes on. Ends by `stop()`, by the signal, or with the monitor.
   */
  run({ signal }: { signal?: AbortSignal } = {}): IntervalLoop<Sample> {
    const round = (): Sample => {
      this.#complainIfUnlinked();
      const sample = this.sample();
      this.emit(sample);
      return sample;
    };
    const { signal: closing } = this.#closing;
    return new IntervalLoop(
      round,
      this.interval * 1000,
      (error) => this.#log.error("Error monitoring utilization", error),
      signal === undefined ? closing : AbortSignal.any([closing, signal]),
    );
  }

  /** Registered workers go on without a name of their file; new ones could not open it. */
  #complainIfUnlinked(): boolean {
    if (this.#parts === null || this.#parts.allocator.file.linked) return false;
    this.#complain(
      `"${this.path}" was unlinked or replaced: its workers go on, new ones cannot register`,
    );
    return true;
  }

  #complain(complaint: string): void {
    if (this.#complaint === complaint) return;
    this.#complaint = complaint;
    this.#log.error(complaint);
  }

  /** Ends the loops, and gives up and removes the file. Workers that map it go on in their mapping. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.#opening?.catch(() => {});
    this.#parts?.membership.close();
    this.#parts?.allocator.close({ unlink: true });
    this.#parts = null;
    await this.#lock?.release();
    this.#lock = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
