// Reads a shared file by its journal, with no supervisor: what was counted when everybody died.

import { lstatSync } from "node:fs";
import { DETACHED, LIVE } from "../assembly/layout.ts";
import { exactJson } from "./exact_json.ts";
import { journalPath } from "./journal.ts";
import { JournalError, type JournalFile, readJournal } from "./journal_file.ts";
import type { JournalHeader } from "./journal_header.ts";
import { fieldsOf, type Held, type HeldSchema } from "./journal_state.ts";
import { silentLogger } from "./log.ts";
import { dropLost, restoreTotals } from "./predecessor.ts";
import type { AsNumbers, Sample, SampleOptions, WorkerSample } from "./sample.ts";
import { SegmentAllocator } from "./segment_allocator.ts";
import type { Group } from "./service.ts";
import { Services } from "./services.ts";
import type { Texts } from "./text_field.ts";
import { textsByService, textsOf, type Writer } from "./texts.ts";

/** A supervisor may write its journal anew, or a new one may take over, while we read. */
const ATTEMPTS = 20;

interface InspectedWorker {
  readonly held: Held & { readonly schema: HeldSchema };
  readonly group: Group;
}

/**
 * What a shared file says, by its journal: as its supervisor would have told at the moment of the
 * call. Nothing is written, and no process is asked.
 *
 * @example
 * ```ts
 * const inspection = Inspection.open("/run/app/app.shm");
 * console.log(inspection.totals());
 * inspection.close();
 * ```
 */
export class Inspection {
  /** Who wrote the journal. */
  readonly header: JournalHeader;
  readonly #journal: string;
  readonly #version: string;
  readonly #allocator: SegmentAllocator;
  readonly #services: Services;
  readonly #workers: InspectedWorker[] = [];

  private constructor(journal: JournalFile, version: string, allocator: SegmentAllocator) {
    const { header, state } = journal;
    this.header = header;
    this.#journal = journalPath(allocator.file.path);
    this.#version = version;
    this.#allocator = allocator;
    this.#services = new Services(
      allocator,
      { services: Number.POSITIVE_INFINITY, fields: Number.POSITIVE_INFINITY },
      silentLogger,
    );
    restoreTotals(state, this.#services);
    const { core, segmentSize } = allocator;
    for (const held of state.held.values()) {
      const { schema } = held;
      if (schema === null) continue;
      const group = this.#services.group(schema.service, fieldsOf(schema.rows, segmentSize));
      const segment = held.at / segmentSize;
      core.checked(core.exports.attach(segment, group.index), "read a segment");
      if (held.detached) {
        core.checked(core.exports.detach(segment), "read a segment");
      } else {
        group.live++;
        this.#workers.push({ held: { ...held, schema }, group });
      }
    }
  }

  /**
   * Opens the file at `path` and its journal.
   *
   * @throws {JournalError} when there is no journal, it is torn or of another format, or the file
   * that it speaks of is gone.
   * @throws {Error} the system's, when one of them cannot be read.
   */
  static open(path: string): Inspection {
    for (let attempt = 1; ; attempt++) {
      const before = versionOf(journalPath(path));
      const journal = readJournal(path);
      if (journal === null) {
        throw new JournalError(`Cannot inspect "${path}": there is no "${journalPath(path)}"`);
      }
      const { inode, segmentSize } = journal.header.file;
      const isWhole = String(inodeOf(path)) === inode && before === versionOf(journalPath(path));
      if (isWhole) {
        const { size } = lstatSync(path);
        dropLost(journal.state, segmentSize, size, path, silentLogger);
        const held = new Set([...journal.state.held.values()].map(({ at }) => at));
        const adopted = { inode: BigInt(inode), held, readOnly: true };
        const options = { segmentSize, maxSize: 0x7fff_ffff };
        return new Inspection(journal, before, new SegmentAllocator(path, options, adopted));
      }
      if (attempt < ATTEMPTS) continue;
      throw new JournalError(
        `Cannot inspect "${path}": the file that its journal speaks of, inode ${inode}, is gone`,
      );
    }
  }

  /**
   * Whether nobody has written to the journal since it was read. If somebody has, a segment may be
   * another worker's by now, and what was read since may be wrong: open it anew.
   */
  get isCurrent(): boolean {
    return versionOf(this.#journal) === this.#version;
  }

  /** The workers that were registered, by service and field. */
  sample(options?: AsNumbers): Sample<number>;
  sample(options?: SampleOptions): Sample;
  sample({ bigint = false }: SampleOptions = {}): Sample {
    this.#gather(LIVE);
    return this.#services.reports.sample(bigint);
  }

  /** The counters of all workers there ever were. */
  totals(options?: AsNumbers): Sample<number>;
  totals(options?: SampleOptions): Sample;
  totals({ bigint = false }: SampleOptions = {}): Sample {
    this.#gather(LIVE, DETACHED);
    return this.#services.reports.totals(bigint);
  }

  /** The values of each worker that was registered. */
  sampleByWorker(options?: AsNumbers): WorkerSample<number>[];
  sampleByWorker(options?: SampleOptions): WorkerSample[];
  sampleByWorker({ bigint = false }: SampleOptions = {}): WorkerSample[] {
    const { file, usedSize, segmentSize } = this.#allocator;
    const sampleOf = (worker: InspectedWorker): WorkerSample => {
      const { held, group } = worker;
      const { id, pid, at, schema, state } = held;
      const text = textsOf(writerOf(worker), this.#allocator);
      return {
        id,
        slot: at / segmentSize,
        processId: pid,
        service: schema.service,
        mapping: mappingOf(state),
        // Who looks once cannot see whether anything moves.
        stalledFor: null,
        ...(text !== undefined && { text }),
        data: this.#allocator.decode(group.index, at, group.fields, bigint),
      };
    };
    return file.inOnePass(usedSize, () => this.#workers.map(sampleOf));
  }

  /** What the workers that were registered said of themselves, of each text the last one. */
  text(): Record<string, Texts> {
    return textsByService(this.#workers.map(writerOf), this.#allocator);
  }

  /** All of it as exact JSON text. */
  stringify({ byWorker = false }: { byWorker?: boolean } = {}): string {
    this.#gather(LIVE, DETACHED);
    const { pid, start } = this.header.supervisor;
    const members = [
      `"supervisor":${exactJson({ process_id: pid, start_time: start })}`,
      `"data":${this.#services.reports.sampleText()}`,
    ];
    const text = this.text();
    if (Object.keys(text).length > 0) members.push(`"text":${exactJson(text)}`);
    const histograms = this.#services.reports.histograms(true);
    if (histograms !== null) members.push(`"histograms":${exactJson(histograms)}`);
    members.push(`"totals":${this.#services.reports.totalsText()}`);
    if (byWorker) members.push(`"workers":${exactJson(this.sampleByWorker({ bigint: true }))}`);
    return `{${members.join(",")}}`;
  }

  #gather(...lists: readonly (typeof LIVE | typeof DETACHED)[]): void {
    const { core, sampler, usedSize } = this.#allocator;
    core.exports.reset();
    for (const list of lists) sampler.accumulate(this.#services.groupIndices(), list, usedSize);
  }

  close(): void {
    this.#allocator.close();
  }
}

/** A journal is appended to, or replaced. */
function versionOf(path: string): string {
  const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return `${status?.ino}:${status?.size}`;
}

function inodeOf(path: string): bigint | null {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

function writerOf({ held, group }: InspectedWorker): Writer {
  return { group, offset: held.at };
}

function mappingOf(state: unknown): string {
  const mapping = (state as { mapping?: unknown } | null)?.mapping;
  return typeof mapping === "string" ? mapping : "unknown";
}
