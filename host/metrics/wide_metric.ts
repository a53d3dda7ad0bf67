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

/** No process adds 1 as often as this: at one addition a nanosecond, it would take 146 years. */
const OUT_OF_REACH = 2 ** 62;

/** How far a sum of two numbers below 2^64 can be from the truth, and then some. */
const ESTIMATE_MARGIN = 2 ** 54;

/**
 * Integers of 64 bits. Signed ones are handled as unsigned, which in two's complement have the same
 * sums. Nothing here makes a BigInt in the usual case, as that would allocate: the engine compiles
 * `cell[index] += 1n` to one addition, and everything else is asked of the two halves.
 *
 * Adding 1 asks nothing at all. Ones alone do not lead to the maximum: a value that was put near it
 * has its `increment` replaced by one that looks.
 */
export class WideMetric extends Metric {
  readonly #signed: boolean;
  readonly #minimum: number;
  /** The first integer beyond the largest value: unlike that, a number holds it exactly. */
  readonly #limit: number;
  /** The high half of the smallest value, as the signed integer that the array has. */
  readonly #minimumHalf: number;
  #cell: BigUint64Array = new BigUint64Array(1);
  #index = 0;
  #halves = new Int32Array(this.#cell.buffer);
  #high = 1;

  constructor(field: Field, log: Logger) {
    super(field, log);
    this.#signed = isSigned(field.type);
    this.#minimum = minimumOf(field);
    this.#limit = this.#signed ? 2 ** 63 : 2 ** 64;
    this.#minimumHalf = this.#minimum < 0 ? -0x8000_0000 : 0;
  }

  get value(): number {
    const high = this.#halves[this.#high]!;
    const low = this.#halves[this.#high - 1]! >>> 0;
    return (this.#signed ? high : high >>> 0) * 2 ** 32 + low;
  }

  get bigint(): bigint {
    const value = this.#cell[this.#index]!;
    return this.#signed ? BigInt.asIntN(64, value) : value;
  }

  increment(by = 1): void {
    if (by === 1) this.#cell[this.#index]! += 1n;
    else this.#add(by);
  }

  decrement(by = 1): void {
    const halves = this.#halves;
    const high = this.#high;
    const aboveMinimum = halves[high] !== this.#minimumHalf || halves[high - 1] !== 0;
    if (by === 1 && aboveMinimum) this.#cell[this.#index]! -= 1n;
    else if (typeof by === "number") this.#add(-by);
    else this.ignored(by);
  }

  set(value: number | bigint): void {
    if (typeof value === "bigint") {
      this.#store(value);
    } else if (!Number.isFinite(value)) {
      this.ignored(value);
    } else if (value >= this.#minimum && value < this.#limit) {
      toScratch(Math.trunc(value));
      this.#cell[this.#index] = scratch[0]!;
      if (value >= this.#limit - OUT_OF_REACH) this.#increaseWithCare();
    } else {
      this.#store(BigInt(Math.trunc(value)));
    }
  }

  /** From now on: the maximum may be near. */
  #increaseWithCare(): void {
    this.increment = (by = 1) => this.#add(by);
  }

  moveTo(cells: Cells, offset: number): void {
    const cell = cells.view(BigUint64Array);
    const index = offset / 8;
    cell[index] = this.#cell[this.#index]!;
    this.#cell = cell;
    this.#index = index;
    this.#halves = cells.view(Int32Array);
    this.#high = index * 2 + 1;
  }

  #add(by: number): void {
    if (!Number.isFinite(by)) {
      this.ignored(by);
      return;
    }
    const step = Math.trunc(by);
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
      if (estimate >= this.#limit - OUT_OF_REACH) this.#increaseWithCare();
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
    if (Number(within) >= this.#limit - OUT_OF_REACH) this.#increaseWithCare();
  }
}
