import { Cells } from "../cells.ts";
import type { Field } from "../field.ts";
import { sizeOf } from "../field_type.ts";
import type { Logger } from "../log.ts";
import { Metric } from "../metric.ts";

/**
 * The big-endian types, which only foreign readers ask for. The arithmetic is done by a metric of
 * the same type in the order of this machine; its bytes are reversed on their way from and to the
 * cell. That costs some nanoseconds more, and is still one store.
 */
export class BigEndianMetric extends Metric {
  readonly #size: number;
  readonly #native: Metric;
  readonly #nativeCells: Cells;
  readonly #scratch: Cells;
  #cells: Cells;
  #offset = 0;

  /** `native` is an unattached metric of the little-endian type. */
  constructor(field: Field, log: Logger, native: Metric) {
    super(field, log);
    this.#size = sizeOf(field.type);
    this.#nativeCells = Cells.allocate(this.#size);
    this.#native = native;
    this.#native.moveTo(this.#nativeCells, 0);
    this.#scratch = Cells.allocate(this.#size);
    this.#cells = Cells.allocate(this.#size);
  }

  get value(): number {
    this.#load();
    return this.#native.value;
  }

  get bigint(): bigint {
    this.#load();
    return this.#native.bigint;
  }

  increment(by = 1): void {
    this.#load();
    this.#native.increment(by);
    this.#store();
  }

  decrement(by = 1): void {
    this.#load();
    this.#native.decrement(by);
    this.#store();
  }

  set(value: number | bigint): void {
    this.#load();
    this.#native.set(value);
    this.#store();
  }

  moveTo(cells: Cells, offset: number): void {
    cells.copy(this.#cells, this.#offset, offset, this.#size);
    this.#cells = cells;
    this.#offset = offset;
  }

  #load(): void {
    this.#scratch.copy(this.#cells, this.#offset, 0, this.#size);
    reverse(this.#scratch.bytes, this.#nativeCells.bytes, this.#size);
  }

  #store(): void {
    reverse(this.#nativeCells.bytes, this.#scratch.bytes, this.#size);
    this.#cells.copy(this.#scratch, 0, this.#offset, this.#size);
  }
}

function reverse(source: Uint8Array, target: Uint8Array, size: number): void {
  for (let index = 0; index < size; index++) target[index] = source[size - 1 - index]!;
}
