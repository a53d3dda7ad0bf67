// The rules of addition of docs/abi.md, in plain TypeScript with bigints.

import {
  COUNTER,
  LAST,
  MAX,
  MIN,
  RESULT_FLOAT,
  RESULT_INTEGER,
  RESULT_NONE,
  RESULT_WIDE,
  SUM,
} from "../../assembly/layout.ts";
import type { Value } from "../reference.ts";

/** What a RESULT record says. */
export interface Result {
  readonly kind: number;
  readonly value: number;
  /** The integer, or the part of the value that came from integers. */
  readonly integer: bigint;
}

/** A sum whose integers and floats are kept apart; undefined where there were none. */
export interface Bank {
  integer?: bigint;
  float?: number;
}

/** One accumulator: what the live, the detached and the retired have. */
export class ModelAccumulator {
  readonly aggregate: number;
  readonly live: Bank = {};
  readonly detached: Bank = {};
  readonly retired: Bank = {};
  #lastMember = -1;

  constructor(aggregate: number) {
    this.aggregate = aggregate;
  }

  /** A value of a live member; `member` is its place in registration order. */
  addLive(value: Value, member: number): void {
    const { aggregate, live } = this;
    if (aggregate === COUNTER || aggregate === SUM) {
      addTo(live, value);
      return;
    }
    if (aggregate === LAST) {
      if (member < this.#lastMember) return;
      this.#lastMember = member;
    } else if (!beats(value, live.integer ?? live.float, aggregate)) {
      return;
    }
    replace(live, value);
  }

  addDetached(value: Value): void {
    if (this.aggregate === COUNTER) addTo(this.detached, value);
  }

  /** `sign` is 1 or -1. A float that is not finite is not retired. */
  retire(value: Value, sign: number): void {
    if (this.aggregate !== COUNTER) return;
    if (typeof value === "number" && !Number.isFinite(value)) return;
    addTo(this.retired, sign < 0 ? -value : value);
  }

  sample(): Result {
    return resultOf(this.live);
  }

  totals(): Result {
    const sum: Bank = {};
    if (this.aggregate !== COUNTER) return resultOf(sum);
    for (const { integer, float } of [this.live, this.detached, this.retired]) {
      if (integer !== undefined) addTo(sum, integer);
      if (float !== undefined) addTo(sum, float);
    }
    return resultOf(sum);
  }
}

function addTo(bank: Bank, value: Value): void {
  if (typeof value === "bigint") bank.integer = (bank.integer ?? 0n) + value;
  else bank.float = (bank.float ?? 0) + value;
}

function replace(bank: Bank, value: Value): void {
  delete bank.integer;
  delete bank.float;
  if (typeof value === "bigint") bank.integer = value;
  else bank.float = value;
}

function beats(offered: Value, held: Value | undefined, aggregate: number): boolean {
  if (held === undefined) return true;
  if (typeof held === "number" && Number.isNaN(held)) return !Number.isNaN(Number(offered));
  const exact = typeof offered === "bigint" && typeof held === "bigint";
  const [a, b] = exact ? [offered, held] : [Number(offered), Number(held)];
  return aggregate === MIN ? a < b : aggregate === MAX && a > b;
}

export function resultOf({ integer, float }: Bank): Result {
  if (float !== undefined) {
    const value = integer === undefined ? float : Number(integer) + float;
    return { kind: RESULT_FLOAT, value, integer: integer ?? 0n };
  }
  if (integer === undefined) return { kind: RESULT_NONE, value: 0, integer: 0n };
  const magnitude = integer < 0n ? -integer : integer;
  const kind = magnitude <= 2n ** 53n ? RESULT_INTEGER : RESULT_WIDE;
  return { kind, value: Number(integer), integer };
}
