import type { Cells } from "../cells.ts";
import type { Field } from "../field.ts";
import { isSigned } from "../field_type.ts";
import type { Logger } from "../log.ts";
import { Metric } from "../metric.ts";
import { minimumOf } from "./limits.ts";

const scratch = new BigUint64Array(1);
const scratchHalves = new Uint32Array(scratch.buffer);

/** Puts an integer into `scratch`. A Uint32Array keeps the low 32 bits, in two's complement. */
function toScratch(integer: number): void {
  scratchHalves[0] = integer;
  scratchHalves[1] = Math.floor(integer / 2 ** 32);
}

/** How far a sum of two numbers below 2^64 can be from the truth, and then some. */
const ESTIMATE_MARGIN = 2 ** 54;

/**
 * Integers of 64 bits. Signed ones are handled as unsigned, which in two's complement have the same
 * sums.
 *
 * As long as the upper half stays what it is, an update is one store of the lower half: nobody can
 * see a mixture of two values. As both limits lie where a half ends, none is passed by it either.
 * Only a carry stores all 64 bits, by way of a BigInt: engines make an object of each, all but
 * the last of their compilers.
 */
export class WideMetric extends Metric {
  readonly #signed: boolean;
  readonly #minimum: number;
  /** The first integer beyond the largest value: unlike that, a number holds it exactly. */
  readonly #limit: number;
  #cell: BigUint64Array = new BigUint64Array(1);
  #index = 0;
  #halves = new Int32Array(this.#cell.buffer);
  #low = 0;

  constructor(field: Field, log: Logger) {
    super(field, log);
    this.#signed = isSigned(field.type);
    this.#minimum = minimumOf(field);
    this.#limit = this.#signed ? 2 ** 63 : 2 ** 64;
  }

  get value(): number {
    const high = this.#halves[this.#low + 1]!;
    const low = this.#halves[this.#low]! >>> 0;
    return (this.#signed ? high : high >>> 0) * 2 ** 32 + low;
  }

  get bigint(): bigint {
    const value = this.#cell[this.#index]!;
    return this.#signed ? BigInt.asIntN(64, value) : value;
  }

  increment(by = 1): void {
    const next = (this.#halves[this.#low]! + 1) | 0;
    if (by === 1 && next !== 0) this.#halves[this.#low] = next;
    else this.#add(by);
  }

  decrement(by = 1): void {
    const low = this.#halves[this.#low]!;
    if (by === 1 && low !== 0) this.#halves[this.#low] = low - 1;
    else if (typeof by === "number") this.#add(-by);
    else this.ignored(by);
  }

  set(value: number | bigint): void {
    if (typeof value === "bigint") {
      this.#store(value);
    } else if (!Number.isFinite(value)) {
      this.ignored(value);
    } else if (value >= this.#minimum && value < this.#limit) {
      const integer = Math.trunc(value);
      const high = Math.floor(integer / 2 ** 32) | 0;
      if (high === this.#halves[this.#low + 1]) {
        // An Int32Array keeps the low 32 bits.
        this.#halves[this.#low] = integer;
      } else {
        toScratch(integer);
        this.#cell[this.#index] = scratch[0]!;
      }
    } else {
      this.#store(BigInt(Math.trunc(value)));
    }
  }

  moveTo(cells: Cells, offset: number): void {
    const cell = cells.view(BigUint64Array);
    const index = offset / 8;
    cell[index] = this.#cell[this.#index]!;
    this.#cell = cell;
    this.#index = index;
    this.#halves = cells.view(Int32Array);
    this.#low = index * 2;
  }

  #add(by: number): void {
    if (!Number.isFinite(by)) {
      this.ignored(by);
      return;
    }
    const step = Math.trunc(by);
    const low = (this.#halves[this.#low]! >>> 0) + step;
    if (low >= 0 && low < 2 ** 32) {
      this.#halves[this.#low] = low;
      return;
    }
    const estimate = this.value + step;
    // Around zero the estimate is exact; towards the other limits it need not be.
    const lowest = this.#minimum === 0 ? 0 : this.#minimum + ESTIMATE_MARGIN;
    if (
      estimate >= lowest &&
      estimate <= this.#limit - ESTIMATE_MARGIN &&
      Number.isSafeInteger(step)
    ) {
      toScratch(step);
      this.#cell[this.#index]! += scratch[0]!;
    } else {
      this.#store(this.bigint + BigInt(step));
    }
  }

  #store(value: bigint): void {
    const minimum = BigInt(this.#minimum);
    const maximum = BigInt(this.#limit) - 1n;
    const within = value < minimum ? minimum : value > maximum ? maximum : value;
    if (within !== value) this.limited(within);
    this.#cell[this.#index] = within;
  }
}
