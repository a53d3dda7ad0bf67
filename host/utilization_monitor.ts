// Sums what the workers of each service count, without asking any of them.

import { rmSync, statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DETACHED, LIVE } from "../assembly/layout.ts";
import { exactJson } from "./exact_json.ts";
import type { Field } from "./field.ts";
import { FileLock } from "./file_lock.ts";
import { Heartbeats } from "./heartbeats.ts";
import { startTimeOf } from "./holder.ts";
import { IntervalLoop } from "./interval_loop.ts";
import { Journal, journalPath } from "./journal.ts";
import type { JournalState } from "./journal_state.ts";
import { LEAK_WINDOW_MS, Leaks, LONGEST_LEAK_WINDOW_MS, SHORTEST_LEAK_WINDOW_MS } from "./leaks.ts";
import { isAllowed } from "./libc.ts";
import { LimitWatch, type MonitorLimits, withDefaults } from "./limits.ts";
import { budgeted, type Logger, stderrLogger } from "./log.ts";
import type { MappingName } from "./mapping/name.ts";
import { Membership, type Registration } from "./membership.ts";
import { findPredecessor, journalHeader, restore } from "./predecessor.ts";
import type { ProcessTable } from "./process_table.ts";
import type { Reports } from "./reports.ts";
import type {
  AsNumbers,
  Sample,
  SampleOptions,
  Status,
  StatusOptions,
  WorkerSample,
} from "./sample.ts";
import { SegmentAllocator, type SegmentAllocatorOptions } from "./segment_allocator.ts";
import { Services } from "./services.ts";
import type { MonitorStatistics } from "./statistics.ts";
import type { Texts } from "./text_field.ts";
import { textsByService, textsOf } from "./texts.ts";
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
  /** What workers may make this monitor remember; see {@link UtilizationMonitor.limitsReached}. */
  limits?: MonitorLimits | undefined;
  /**
   * How long the event loop of a worker may stand still before it is called stalled; by default
   * twice the interval of its heartbeat and 1000. Never less than twice the interval.
   */
  stalledAfterMs?: number | undefined;
  /**
   * How long a gauge of what is in flight may stay above the lowest value that it has had, while its
   * counter goes on, before its worker is told to be leaking; 600 000 by default, at least 1000, and 0
   * for never. A service that is never idle for so long looks the same.
   */
  leakWindowMs?: number | undefined;
  /**
   * Keeps `<path>.journal`, by which the next supervisor goes on with the file and all totals, and
   * by which `utilization inspect` reads the file without a supervisor; true by default.
   */
  journal?: boolean | undefined;
  /** Group id that the file is handed to. */
  groupId?: number | undefined;
  /**
   * The processes that workers may be; the system's by default.
   *
   * @internal
   */
  processes?: ProcessTable | undefined;
  log?: Logger | undefined;
}

/** What there is while the file is open. */
interface Parts {
  readonly allocator: SegmentAllocator;
  readonly services: Services;
  readonly membership: Membership;
  readonly heartbeats: Heartbeats;
  /** Null where nobody wants to know. */
  readonly leaks: Leaks | null;
  readonly journal: Journal | null;
}

/** Timers of 2^31 ms and more fire at once. */
const LONGEST_INTERVAL = 2_147_483;

const LIMITS: Required<MonitorLimits> = { services: 1024, fields: 65_536, logLines: 1000 };

const EMPTY: Sample<never> = Object.freeze(Object.create(null));
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
  /** For what workers do. */
  readonly #workerLog: Logger;
  readonly #limits: Required<MonitorLimits>;
  readonly #watch: LimitWatch<keyof MonitorLimits>;
  #opening: Promise<void> | null = null;
  readonly #closing = new AbortController();
  #lock: FileLock | null = null;
  #parts: Parts | null = null;
  /** What is wrong with the file now, so that it is said once. */
  #complaint: string | null = null;
  #samples = 0;
  #sampleMs = 0;

  /**
   * Touches nothing yet: the file is created by {@link open}.
   *
   * @throws {RangeError} when the segment size is not a positive multiple of 64, the interval not
   * a positive number, the window for leaks out of range, or a limit not a positive whole number.
   */
  constructor(options: UtilizationMonitorOptions = {}) {
    const { segmentSize = 512, interval = 10, leakWindowMs = LEAK_WINDOW_MS } = options;
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
    const [shortest, longest] = [SHORTEST_LEAK_WINDOW_MS, LONGEST_LEAK_WINDOW_MS];
    if (!(leakWindowMs === 0 || (leakWindowMs >= shortest && leakWindowMs <= longest))) {
      throw new RangeError(
        `Cannot use leakWindowMs ${leakWindowMs}: must be 0, or from ${shortest} to ${longest}`,
      );
    }
    this.path = resolve(options.path ?? "utilization.shm");
    this.interval = interval;
    this.#options = options;
    this.#log = options.log ?? stderrLogger;
    this.#limits = withDefaults(options.limits, LIMITS);
    const { logLines } = this.#limits;
    this.#watch = new LimitWatch(Object.keys(LIMITS) as (keyof MonitorLimits)[], this.#log);
    this.#workerLog = budgeted(this.#log, logLines, () => {
      this.#watch.reached("logLines", `More than ${logLines} log lines in 10 s: left some out`);
    });
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

  /** How often each limit was reached. */
  get limitsReached(): Readonly<Record<keyof MonitorLimits, number>> {
    return this.#watch.counts;
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
    const { groupId, mode = 0o600 } = this.#options;
    const log = this.#workerLog;
    const { path, segmentSize } = this;
    const isKept = this.#options.journal ?? true;
    let allocator: SegmentAllocator | undefined;
    let journal: Journal | null = null;
    let isNew = false;
    try {
      // It would speak of a file that is replaced now, whose inode another may get.
      if (!isKept) rmSync(journalPath(path), { force: true });
      const predecessor = isKept ? findPredecessor(path, segmentSize, log) : null;
      isNew = predecessor === null;
      const options = { reuseDelayMs: 1000, ...this.#options };
      allocator = new SegmentAllocator(path, options, predecessor?.file);
      grant(path, { mode, groupId });
      if (isKept) {
        const start = startTimeOf(process.pid);
        const header = journalHeader(allocator.file.inode, segmentSize, start);
        // Who may write a segment may not write totals.
        const readable = mode & ~0o022;
        const state = predecessor?.state;
        journal = new Journal(path, { header, state, mode: readable, groupId, log });
      }
      const services = new Services(allocator, this.#limits, log, journal, (limit, message) =>
        this.#watch.reached(limit, message),
      );
      const { setupTimeoutMs = 5000, leaseMs = 60_000 } = this.#options;
      const membership = new Membership({
        path: this.path,
        allocator,
        services,
        setupTimeoutMs,
        leaseMs,
        processes: this.#options.processes,
        journal,
        log,
      });
      const { stalledAfterMs, leakWindowMs: windowMs = LEAK_WINDOW_MS } = this.#options;
      const { live } = membership;
      const heartbeats = new Heartbeats({ allocator, live, stalledAfterMs, log });
      const leaks = windowMs > 0 ? new Leaks({ allocator, live, windowMs, log }) : null;
      this.#parts = { allocator, services, membership, heartbeats, leaks, journal };
      if (predecessor !== null) {
        restore(predecessor.state, allocator, services, membership.departures);
        this.#sayRestored(predecessor.state);
      }
    } catch (error) {
      this.#parts?.heartbeats.close();
      this.#parts?.leaks?.close();
      this.#parts?.membership.close();
      this.#parts = null;
      // What an earlier supervisor left stays for another attempt.
      journal?.close({ remove: isNew });
      allocator?.close({ unlink: isNew });
      await this.#lock.release();
      this.#lock = null;
      throw error;
    }
    log.info(`Sharing "${this.path}" (mapping: ${this.mapping}, ${this.mappingReason})`);
    this.#warnOfDisk();
  }

  #sayRestored({ held, bases }: JournalState): void {
    if (held.size + bases.size === 0) return;
    this.#log.info(
      `Going on where the last supervisor ended: totals of ${bases.size} services, ${held.size} workers to come back`,
    );
  }

  #warnOfDisk(): void {
    if (!isAllowed({ name: "sys", kind: "statfs" })) return;
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
    this.#parts?.leaks?.meet(controller.id);
  }

  /**
   * The worker's connection is gone. Its counters stay in the totals, exactly once. False if it was
   * in no sample.
   */
  remove(controller: WorkerController): boolean {
    return this.#parts?.membership.remove(controller) ?? false;
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
  sample(options?: AsNumbers): Sample<number>;
  sample(options?: SampleOptions): Sample;
  sample({ bigint = false }: SampleOptions = {}): Sample {
    return this.#gather(LIVE)?.sample(bigint) ?? EMPTY;
  }

  /**
   * The counters of live, detached and retired workers by service: they never go backwards when a
   * worker dies. A service without workers stays, with `worker_count: 0`.
   */
  totals(options?: AsNumbers): Sample<number>;
  totals(options?: SampleOptions): Sample;
  totals({ bigint = false }: SampleOptions = {}): Sample {
    return this.#gather(LIVE, DETACHED)?.totals(bigint) ?? EMPTY;
  }

  /** Reads the segments now; null before the file is open. */
  #gather(...lists: readonly (typeof LIVE | typeof DETACHED)[]): Reports | null {
    if (this.#parts === null) return null;
    const { allocator, services } = this.#parts;
    const { core, sampler, usedSize } = allocator;
    const start = performance.now();
    core.exports.reset();
    for (const list of lists) sampler.accumulate(services.groupIndices(), list, usedSize);
    this.#samples++;
    this.#sampleMs += performance.now() - start;
    const { shrunk, mapError } = allocator.file;
    if (shrunk) {
      this.#complain(
        `"${this.path}" was truncated: reading it by file I/O, workers that map it will die`,
      );
    } else if (mapError !== null) {
      this.#complain(`Reading "${this.path}" by file I/O from now on: ${mapError}`);
    }
    return services.reports;
  }

  /** The values of each live worker, in registration order. */
  sampleByWorker(options?: AsNumbers): WorkerSample<number>[];
  sampleByWorker(options?: SampleOptions): WorkerSample[];
  sampleByWorker({ bigint = false }: SampleOptions = {}): WorkerSample[] {
    if (this.#parts === null) return [];
    const { allocator, membership, heartbeats, leaks } = this.#parts;
    heartbeats.look();
    leaks?.look();
    const sampleOf = (registration: Registration): WorkerSample => {
      const { controller, segment, group, offset, holder } = registration;
      const { id, processId, state } = controller;
      const seen = holder.evidence === "mapping" ? "mmap" : "unknown";
      const text = textsOf(registration, allocator);
      const leaking = leaks?.leakingOf(registration);
      return {
        id,
        slot: segment,
        processId,
        service: serviceName(state),
        mapping: stateText(state, "mapping") ?? seen,
        stalledFor: heartbeats.stalledFor(registration),
        ...(text !== undefined && { text }),
        ...(leaking !== undefined && { leaking }),
        data: allocator.decode(group.index, offset, group.fields, bigint),
      };
    };
    const { file, usedSize } = allocator;
    return file.inOnePass(usedSize, () => Array.from(membership.live.values(), sampleOf));
  }

  /**
   * How many workers of each service are stalled: their event loop stands still, whatever they do
   * instead. Services without such workers are left out.
   */
  stalled(): Record<string, number> {
    if (this.#parts === null) return Object.create(null);
    const { heartbeats } = this.#parts;
    heartbeats.look();
    return heartbeats.stalled();
  }

  /**
   * How many workers of each service may leak, by field: what they have in flight was not back at its
   * floor, the lowest value since they registered, for a whole window, while its counter went on.
   * Services and fields without such workers are left out.
   */
  leaking(): Record<string, Record<string, number>> {
    const leaks = this.#parts?.leaks ?? null;
    if (leaks === null) return Object.create(null);
    leaks.look();
    return leaks.leaking();
  }

  /**
   * What the workers of each service say of themselves: of each text the one of the worker that
   * registered last and says anything. Services without are left out.
   */
  text(): Record<string, Texts> {
    if (this.#parts === null) return Object.create(null);
    const { allocator, membership } = this.#parts;
    return textsByService([...membership.live.values()], allocator);
  }

  /**
   * How the fields of each service in {@link totals} are declared: kind, aggregate, unit, help. Where
   * its workers disagree, as it holds.
   */
  fields(): Map<string, ReadonlyMap<string, Field>> {
    return new Map(this.#parts?.services.reports.fields());
  }

  /** What the monitor tells of itself; null before {@link open}. Counts begin with it. */
  statistics(): MonitorStatistics | null {
    if (this.#parts === null) return null;
    const { allocator, membership } = this.#parts;
    const { segmentCount, availableCount, segmentSize } = allocator;
    return {
      segments: segmentCount,
      segmentsUsed: segmentCount - availableCount,
      segmentSize,
      samples: this.#samples,
      sampleSeconds: this.#sampleMs / 1000,
      ...membership.counts,
    };
  }

  /** For `JSON.stringify`: plain numbers, integers beyond 2^53 rounded. */
  toJSON(): Sample<number> {
    return this.sample();
  }

  /** The sample as JSON text, every integer with all its digits, NaN and infinities as null. */
  stringify(): string {
    return this.#gather(LIVE)?.sampleText() ?? "{}";
  }

  /** What a supervisor answers for this monitor, of one moment. `data` has the original's shape. */
  status(options?: AsNumbers<StatusOptions>): Status<number>;
  status(options?: StatusOptions): Status;
  status({ bigint = false, totals = false, byWorker = false }: StatusOptions = {}): Status {
    const reports = totals ? this.#gather(LIVE, DETACHED) : this.#gather(LIVE);
    const data = reports?.sample(bigint) ?? EMPTY;
    const histograms = reports?.histograms(bigint) ?? null;
    const text = this.text();
    const leaking = this.leaking();
    return {
      type: UtilizationMonitor.monitorType,
      data,
      stalled: this.stalled(),
      ...(!isEmpty(text) && { text }),
      ...(!isEmpty(leaking) && { leaking }),
      ...(histograms !== null && { histograms }),
      ...(totals && { totals: reports?.totals(bigint) ?? EMPTY }),
      ...(byWorker && { workers: this.sampleByWorker({ bigint }) }),
    };
  }

  /**
   * {@link status} as exact JSON text. The command line prints it, and a supervisor answers
   * `status_json` with it.
   */
  statusText({ totals = false, byWorker = false }: StatusOptions = {}): string {
    const reports = totals ? this.#gather(LIVE, DETACHED) : this.#gather(LIVE);
    const members = [
      `"type":${JSON.stringify(UtilizationMonitor.monitorType)}`,
      `"data":${reports?.sampleText() ?? "{}"}`,
      `"stalled":${exactJson(this.stalled())}`,
    ];
    const text = this.text();
    if (!isEmpty(text)) members.push(`"text":${exactJson(text)}`);
    const leaking = this.leaking();
    if (!isEmpty(leaking)) members.push(`"leaking":${exactJson(leaking)}`);
    const histograms = reports?.histograms(true) ?? null;
    if (histograms !== null) members.push(`"histograms":${exactJson(histograms)}`);
    if (totals) members.push(`"totals":${reports?.totalsText() ?? "{}"}`);
    if (byWorker) members.push(`"workers":${exactJson(this.sampleByWorker({ bigint: true }))}`);
    return `{${members.join(",")}}`;
  }

  /** What a round does with its sample: it is logged. To be overridden. */
  emit(metrics: Sample<number>): void {
    this.#log.info("Utilization:", { metrics });
  }

  /**
   * Samples and emits, once at once and then `interval` seconds after each round. An error is
   * logged, and the loop goes on. Ends by `stop()`, by the signal, or with the monitor.
   */
  run({ signal }: { signal?: AbortSignal } = {}): IntervalLoop<Sample<number>> {
    const round = (): Sample<number> => {
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

  /**
   * Ends the loops and gives up the file. Workers that map it go on in their mapping. File and
   * journal stay for the next supervisor, unless nobody has counted anything.
   */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.#opening?.catch(() => {});
    if (this.#parts !== null) {
      const { allocator, membership, heartbeats, leaks, journal } = this.#parts;
      heartbeats.close();
      leaks?.close();
      membership.close();
      const isLeft = journal !== null && !journal.state.isEmpty;
      journal?.close({ remove: !isLeft });
      allocator.close({ unlink: !isLeft });
      this.#parts = null;
    }
    await this.#lock?.release();
    this.#lock = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function isEmpty(record: object): boolean {
  return Object.keys(record).length === 0;
}
