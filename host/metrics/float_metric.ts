import type { Cells } from "../cells.ts";
import type { Field } from "../field.ts";
import { sizeOf } from "../field_type.ts";
import type { Logger } from "../log.ts";
import { Metric } from "../metric.ts";

const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/** A gauge takes any float, NaN and infinities included; a counter is finite and not below zero. */
export class FloatMetric extends Metric {
  readonly #minimum: number;
  readonly #maximum: number;
  #cell: Float64Array | Float32Array;
  #index = 0;

  constructor(field: Field, log: Logger) {
    super(field, log);
    const isDouble = sizeOf(field.type) === 8;
    const isCounter = field.kind === "counter";
    const largest = isDouble ? Number.MAX_VALUE : LARGEST_FLOAT32;
    this.#minimum = isCounter ? 0 : Number.NEGATIVE_INFINITY;
    this.#maximum = isCounter ? largest : Number.POSITIVE_INFINITY;
    this.#cell = isDouble ? new Float64Array(1) : new Float32Array(1);
  }

  get value(): number {
    return this.#cell[this.#index]!;
  }

  get bigint(): bigint {
    return BigInt(Math.trunc(this.value));
  }

  increment(by = 1): void {
    // Adding 1 to a number near the largest one gives that number: it leads beyond no limit.
    if (by === 1) this.#cell[this.#index]! += 1;
    else this.#add(by, 1);
  }

  decrement(by = 1): void {
    const next = this.#cell[this.#index]! - 1;
    if (by === 1 && next >= this.#minimum) this.#cell[this.#index] = next;
    else this.#add(by, -1);
  }

  set(value: number | bigint): void {
    const number = typeof value === "bigint" ? Number(value) : value;
    const isCounter = this.#minimum === 0;
    if (typeof number !== "number" || (isCounter && !Number.isFinite(number))) this.ignored(value);
    else this.#store(number);
  }

  moveTo(cells: Cells, offset: number): void {
    const isDouble = this.#cell.BYTES_PER_ELEMENT === 8;
    const cell = isDouble ? cells.view(Float64Array) : cells.view(Float32Array);
    const index = offset / cell.BYTES_PER_ELEMENT;
    cell[index] = this.#cell[this.#index]!;
    this.#cell = cell;
    this.#index = index;
  }

  #add(by: number, sign: 1 | -1): void {
    if (Number.isFinite(by)) this.#store(this.value + sign * by);
    else this.ignored(by);
  }

  #store(value: number): void {
    const within = Math.min(Math.max(value, this.#minimum), this.#maximum);
    if (within !== value && !Number.isNaN(value)) this.limited(within);
    this.#cell[this.#index] = within;
  }
}
