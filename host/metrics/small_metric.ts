import { Cells } from "../cells.ts";
import type { Field } from "../field.ts";
import { isSigned, sizeOf } from "../field_type.ts";
import type { Logger } from "../log.ts";
import { Metric } from "../metric.ts";
import { minimumOf } from "./limits.ts";

type SmallArray = Uint8Array | Uint16Array | Uint32Array;

/**
 * Integers of up to 32 bits: the arithmetic of numbers is exact for them. Signed ones are stored
 * through unsigned arrays, which keep the low bits, in two's complement: with three classes of
 * array instead of six, the engine still compiles each access to a comparison and a store.
 */
export class SmallMetric extends Metric {
  readonly #minimum: number;
  readonly #maximum: number;
  /** Shifting left and right by this many bits restores the sign. */
  readonly #signShift: number;
  readonly #signed: boolean;
  #cell: SmallArray;
  #index = 0;

  constructor(field: Field, log: Logger) {
    super(field, log);
    const bits = sizeOf(field.type) * 8;
    this.#signed = isSigned(field.type);
    this.#signShift = 32 - bits;
    this.#minimum = minimumOf(field);
    this.#maximum = 2 ** (this.#signed ? bits - 1 : bits) - 1;
    this.#cell = smallView(Cells.allocate(8), bits / 8);
  }

  get value(): number {
    const bits = this.#cell[this.#index]!;
    return this.#signed ? (bits << this.#signShift) >> this.#signShift : bits;
  }

  get bigint(): bigint {
    return BigInt(this.value);
  }

  increment(by = 1): void {
    const next = this.value + 1;
    if (by === 1 && next <= this.#maximum) this.#cell[this.#index] = next;
    else this.#add(by, 1);
  }

  decrement(by = 1): void {
    const next = this.value - 1;
    if (by === 1 && next >= this.#minimum) this.#cell[this.#index] = next;
    else this.#add(by, -1);
  }

  set(value: number | bigint): void {
    if (typeof value === "bigint") this.#store(Number(value));
    else if (Number.isFinite(value)) this.#store(Math.trunc(value));
    else this.ignored(value);
  }

  moveTo(cells: Cells, offset: number): void {
    const size = this.#cell.BYTES_PER_ELEMENT;
    const cell = smallView(cells, size);
    cell[offset / size] = this.#cell[this.#index]!;
    this.#cell = cell;
    this.#index = offset / size;
  }

  #add(by: number, sign: 1 | -1): void {
    if (Number.isFinite(by)) this.#store(this.value + sign * Math.trunc(by));
    else this.ignored(by);
  }

  #store(value: number): void {
    const within = Math.min(Math.max(value, this.#minimum), this.#maximum);
    if (within !== value) this.limited(within);
    this.#cell[this.#index] = within;
  }
}

function smallView(cells: Cells, size: number): SmallArray {
  if (size === 1) return cells.view(Uint8Array);
  return size === 2 ? cells.view(Uint16Array) : cells.view(Uint32Array);
}
