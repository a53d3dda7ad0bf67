// Sums a copy of a shared file by a description of it, with nothing but the core's raw exports:
// the page uses it, and so does the plug-in in workerd (examples/plugin).

import { FIELD_TYPES } from "../../../build/field_type.js";
import * as layout from "../../../build/layout.js";

/**
 * What a copy of the file does not say by itself: `FileDescriber` makes it.
 *
 * @typedef {object} Description
 * @property {number} segmentSize in bytes.
 * @property {Segment[]} segments those of the live workers, in registration order.
 *
 * @typedef {object} Segment
 * @property {string} service
 * @property {number} offset in bytes from the start of the file.
 * @property {FieldRow[]} fields
 *
 * @typedef {[name: string, type: string, offset: number, options?: FieldOptions]} FieldRow
 * @typedef {{kind?: "counter" | "gauge", aggregate?: "sum" | "min" | "max" | "last"}} FieldOptions
 */

const AGGREGATES = { sum: layout.SUM, min: layout.MIN, max: layout.MAX, last: layout.LAST };

/** Reads any number of copies of a file whose segments stay where they are. */
export class Sums {
  #exports;
  #segmentSize;
  /** Bytes that a copy must have. */
  #end = 0;
  /** By service, in order of first appearance. */
  #services = new Map();
  /** Indices of the core's groups, by service and fields. */
  #groups = new Map();

  /**
   * @param {Record<string, any>} exports of a fresh instance of the core.
   * @param {Description} description
   * @throws {TypeError | RangeError} when the description is not in order.
   */
  constructor(exports, description) {
    this.#exports = exports;
    const { segmentSize, segments } = checked(description);
    this.#segmentSize = segmentSize;
    answer(exports.init(segmentSize), `use segments of ${segmentSize} bytes`);
    const count = Math.max(0, ...segments.map(({ offset }) => offset / segmentSize + 1));
    answer(exports.grow(count), `make room for ${count} segments`);
    this.#end = count * segmentSize;
    // The core hands them out in order. Those that are not described stay out of all sums.
    for (let index = 0; index < count; index++) answer(exports.allocate(index, 0), "allocate");
    for (const { service, offset, fields } of segments) {
      const group = this.#group(service, fields);
      answer(exports.attach(offset / segmentSize, group), `use the segment at offset ${offset}`);
      this.#services.get(service).workerCount++;
    }
  }

  #group(name, rows) {
    const key = JSON.stringify([name, rows]);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    let service = this.#services.get(name);
    if (service === undefined) {
      service = { fields: new Map(), workerCount: 0, countPosition: rows.length };
      this.#services.set(name, service);
    }
    const accumulators = rows.map((row) => this.#accumulator(service, row));
    const exports = this.#exports;
    const at = answer(exports.rows(rows.length), `make room for ${rows.length} fields`);
    const memory = new Int32Array(exports.memory.buffer, at, rows.length * 3);
    rows.forEach(([, type, offset], index) => {
      memory.set([FIELD_TYPES.indexOf(type), offset, accumulators[index]], index * 3);
    });
    const group = answer(exports.group(rows.length), `use the fields of service "${name}"`);
    this.#groups.set(key, group);
    return group;
  }

  /** Fields of one name are one sum, whatever the schemas; how the first one is declared holds. */
  #accumulator({ fields }, [name, , , options]) {
    if (!fields.has(name)) {
      const defaultKind = name.endsWith("_total") ? "counter" : "gauge";
      const { kind = defaultKind, aggregate = "sum" } = options ?? {};
      const code = kind === "counter" ? layout.COUNTER : AGGREGATES[aggregate];
      fields.set(name, answer(this.#exports.accumulator(code), `add field "${name}"`));
    }
    return fields.get(name);
  }

  /**
   * The values of each service: by field, and `worker_count` after the fields of its first worker.
   * Integers beyond 2^53 are bigints.
   *
   * @param {Uint8Array} bytes a copy of the file.
   * @returns {Map<string, Map<string, number | bigint>>}
   * @throws {RangeError} when the copy is too short.
   */
  read(bytes) {
    if (bytes.length < this.#end) {
      throw new RangeError(
        `Cannot read the file: it is ${bytes.length} bytes, its segments end at ${this.#end}`,
      );
    }
    this.#exports.reset();
    for (const group of this.#groups.values()) this.#accumulate(group, bytes);
    this.#exports.finish(layout.SAMPLE);
    return new Map([...this.#services].map(([name, service]) => [name, this.#values(service)]));
  }

  #accumulate(group, bytes) {
    const { memory, groups, stage, accumulate } = this.#exports;
    const view = new DataView(memory.buffer);
    const record = (groups() >>> 0) + group * layout.GROUP_BYTES;
    const members = record + layout.GROUP_LIVE;
    const count = view.getInt32(members + layout.MEMBERS_COUNT, true);
    const list = view.getUint32(members + layout.MEMBERS_POINTER, true);
    const batch = view.getInt32(record + layout.GROUP_BATCH, true);
    const rowSize = view.getInt32(record + layout.GROUP_WORDS, true) * 8;
    const target = new Uint8Array(memory.buffer, stage() >>> 0);
    for (let first = 0; first < count; first += batch) {
      const rows = Math.min(batch, count - first);
      for (let row = 0; row < rows; row++) {
        const offset = view.getInt32(list + (first + row) * 4, true);
        // A last word may reach beyond the segment.
        const length = Math.min(rowSize, this.#segmentSize);
        target.set(bytes.subarray(offset, offset + length), row * rowSize);
      }
      answer(accumulate(group, layout.LIVE, first, rows), `accumulate group ${group}`);
    }
  }

  #values({ fields, workerCount, countPosition }) {
    const entries = [...fields].map(([name, accumulator]) => [name, this.#result(accumulator)]);
    entries.splice(countPosition, 0, ["worker_count", workerCount]);
    return new Map(entries.filter(([, value]) => value !== undefined));
  }

  #result(accumulator) {
    const { memory, results } = this.#exports;
    const at = (results() >>> 0) + accumulator * layout.RESULT_BYTES;
    const record = new DataView(memory.buffer, at, layout.RESULT_BYTES);
    const kind = record.getFloat64(layout.RESULT_KIND, true);
    if (kind === layout.RESULT_NONE) return undefined;
    if (kind !== layout.RESULT_WIDE) return record.getFloat64(layout.RESULT_VALUE, true);
    const high = record.getBigInt64(layout.RESULT_HIGH, true);
    return (high << 64n) + record.getBigUint64(layout.RESULT_LOW, true);
  }
}

/** Descriptions come from files: nothing about them is taken for granted. */
function checked(description) {
  const { segmentSize, segments } = description ?? {};
  if (!Number.isInteger(segmentSize) || !Array.isArray(segments)) {
    throw new TypeError("Cannot use the description: it has no segmentSize or no segments");
  }
  for (const segment of segments) {
    const { service, offset, fields } = segment ?? {};
    if (typeof service !== "string" || !Array.isArray(fields) || !fields.every(isFieldRow)) {
      throw new TypeError(`Cannot use the description: ${JSON.stringify(segment)} is no segment`);
    }
    if (!(offset >= 0) || offset % segmentSize !== 0) {
      throw new RangeError(`Cannot use the description: no segment is at offset ${offset}`);
    }
  }
  return description;
}

function isFieldRow(row) {
  if (!Array.isArray(row)) return false;
  const [name, type, offset, options] = row;
  const { aggregate = "sum" } = options ?? {};
  return (
    typeof name === "string" &&
    FIELD_TYPES.includes(type) &&
    Number.isInteger(offset) &&
    Object.hasOwn(AGGREGATES, aggregate)
  );
}

/** Passes on an index, a count or an address that the core answered, unless it refused. */
function answer(code, action) {
  if (code >= 0) return code;
  throw new RangeError(`Cannot ${action}: the core answered ${code}`);
}
