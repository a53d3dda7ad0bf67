// What an earlier supervisor of the same file has left: who held its segments, and what the dead
// had counted. A new supervisor goes on with it, so that no counter goes back or is lost.

import { lstatSync } from "node:fs";
import type { Departures } from "./departures.ts";
import { decode } from "./encoding.ts";
import { isInteger, sizeOf } from "./field_type.ts";
import type { Holder } from "./holder.ts";
import { JournalError, readJournal } from "./journal_file.ts";
import { JOURNAL_FORMAT, type JournalHeader } from "./journal_header.ts";
import { fieldsOf, type Held, type HeldSchema, type JournalState } from "./journal_state.ts";
import type { Logger } from "./log.ts";
import { openFile } from "./mapping/index.ts";
import { readProc, readProcLink } from "./proc.ts";
import type { AdoptedFile, SegmentAllocator } from "./segment_allocator.ts";
import type { Group } from "./service.ts";
import type { Services } from "./services.ts";

export interface Predecessor {
  readonly state: JournalState;
  /** Its file, if that can be gone on with. */
  readonly file: AdoptedFile | undefined;
}

/** The first line of a journal of this process. */
export function journalHeader(
  inode: bigint,
  segmentSize: number,
  start: string | null,
): JournalHeader {
  return {
    format: JOURNAL_FORMAT,
    boot: bootId(),
    namespace: pidNamespace(),
    supervisor: { pid: process.pid, start },
    file: { inode: String(inode), segmentSize },
  };
}

/**
 * Looks for what an earlier supervisor has left at `path`; null when there is nothing, or nothing
 * that can be gone on with. Then a line says why.
 */
export function findPredecessor(
  path: string,
  segmentSize: number,
  log: Logger,
): Predecessor | null {
  let found: ReturnType<typeof readJournal>;
  try {
    found = readJournal(path, { ownOnly: true });
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    log.warn(`Starting anew: ${error.message}`);
    return null;
  }
  if (found === null) return null;
  const { header, state } = found;
  if (header.boot === null || header.boot !== bootId()) {
    const reason =
      bootId() === null
        ? "this process cannot see whether the machine was started since it was written"
        : "it was written before this start of the machine";
    log.info(`Starting anew, without the journal of "${path}": ${reason}`);
    return null;
  }
  // Process ids of another namespace say nothing here.
  if (header.namespace === null || header.namespace !== pidNamespace()) forgetProcesses(state);

  const { inode, segmentSize: oldSize } = header.file;
  const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const user = BigInt(process.geteuid?.() ?? status?.uid ?? 0);
  const isSame = String(status?.ino) === inode && status?.uid === user;
  if (isSame && oldSize === segmentSize) {
    dropLost(state, segmentSize, Number(status.size), path, log);
    const held = new Set([...state.held.values()].map(({ at }) => at));
    return { state, file: { inode: BigInt(inode), held } };
  }
  if (isSame) {
    log.info(`Not going on with "${path}": its segments are ${oldSize} bytes, not ${segmentSize}`);
    retireAll(state, path);
  } else if (state.held.size > 0) {
    const count = state.held.size;
    log.warn(`Lost what ${count} workers had counted in "${path}": it is gone or was replaced`);
    state.held.clear();
  }
  return { state, file: undefined };
}

/** Segments that a truncated file does not have any more, or that no file has. */
export function dropLost(
  state: JournalState,
  segmentSize: number,
  size: number,
  path: string,
  log: Logger,
): void {
  const seen = new Set<number>();
  let lost = 0;
  for (const [key, { at }] of state.held) {
    const isThere = at >= 0 && at % segmentSize === 0 && at + segmentSize <= size && !seen.has(at);
    seen.add(at);
    if (isThere) continue;
    state.held.delete(key);
    lost++;
  }
  if (lost > 0) log.warn(`Lost what ${lost} workers had counted in "${path}": it was truncated`);
}

/**
 * Reads all segments one last time: whoever lives comes back with its counters, and they are taken
 * out again then.
 */
function retireAll(state: JournalState, path: string): void {
  const file = openFile(path, { write: false, mapping: "none" });
  try {
    for (const { key, at, schema } of [...state.held.values()]) {
      if (schema === null) {
        state.apply({ free: key });
        continue;
      }
      const counters: Record<string, string | number> = Object.create(null);
      const { fields } = fieldsOf(schema.rows, Number.MAX_SAFE_INTEGER);
      for (const { name, type, offset, kind } of fields) {
        const bytes = new Uint8Array(sizeOf(type));
        if (kind !== "counter" || file.read(bytes, at + offset) < bytes.length) continue;
        const value = decode(type, bytes);
        if (isInteger(type)) counters[name] = String(value);
        else if (Number.isFinite(value)) counters[name] = Number(value);
      }
      state.apply({ retire: key, counters, kept: true });
    }
  } finally {
    file.close();
  }
}

function forgetProcesses(state: JournalState): void {
  for (const [key, held] of state.held) state.held.set(key, { ...held, evidence: "none" });
  for (const [key, { held, counters }] of state.kept) {
    state.kept.set(key, { held: { ...held, evidence: "none" }, counters });
  }
}

/**
 * Puts what was left into a supervisor's books: totals as they were, and every segment that was
 * held detached until its holder is back or gone.
 */
export function restore(
  state: JournalState,
  allocator: SegmentAllocator,
  services: Services,
  departures: Departures,
): void {
  restoreTotals(state, services);
  const { held, kept, bases } = state;
  const { core, segmentSize } = allocator;
  const groups = new Map<HeldSchema, Group>();
  const declaring = new Set([...held.values()].map(({ schema }) => schema));
  const groupOf = (schema: HeldSchema): Group => {
    let group = groups.get(schema);
    if (group === undefined) {
      const fields = fieldsOf(schema.rows, segmentSize);
      group = services.group(schema.service, fields, declaring.has(schema));
      group.schema = schema.number;
      groups.set(schema, group);
    }
    return group;
  };
  // Those with totals first: of services that are in use none is forgotten for another one.
  for (const { schema } of [...[...kept.values()].map((left) => left.held), ...held.values()]) {
    if (schema !== null && bases.has(schema.service)) groupOf(schema);
  }
  for (const [key, { held: holder, counters }] of kept) {
    departures.adoptDeparted(key, groupOf(holder.schema), counters, holderOf(holder));
  }
  for (const [key, { at, schema, ...rest }] of held) {
    const segment = at / segmentSize;
    const place = { key, segment, offset: at, holder: holderOf(rest) };
    if (schema === null) {
      departures.adopt(place, null);
      continue;
    }
    const group = groupOf(schema);
    core.checked(core.exports.attach(segment, group.index), `attach segment ${segment}`);
    departures.adopt(place, group);
  }
}

/** What the dead had counted, by service and field. */
export function restoreTotals({ bases }: JournalState, services: Services): void {
  for (const [service, fields] of bases) {
    for (const { row, integer, float } of fields.values()) {
      const [field] = fieldsOf([row], Number.MAX_SAFE_INTEGER).fields;
      if (field !== undefined) services.restore(service, field, integer, float);
    }
  }
}

function holderOf({
  pid,
  start,
  incarnation,
  evidence,
}: Pick<Held, "pid" | "start" | "incarnation" | "evidence">): Holder {
  return { processId: pid, startTime: start, incarnation, evidence };
}

/** Random for each start of the machine; null where it cannot be read. */
export function bootId(): string | null {
  try {
    return readProc("/proc/sys/kernel/random/boot_id").trim();
  } catch {
    return null;
  }
}

/** Tells apart whose process ids are comparable; null where it cannot be read. */
export function pidNamespace(): string | null {
  try {
    return readProcLink("/proc/self/ns/pid");
  } catch {
    return null;
  }
}
