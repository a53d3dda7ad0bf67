// What workers do, written down on the side: the truth that totals are compared with.

import { writeFileSync } from "node:fs";
import { openFile } from "../../host/mapping/index.ts";

// One line of 64 bytes for each worker, and the first one for the supervisors:
//
//      0         8         16        24
//     ┌─────────┬─────────┬─────────┬─────────┬──────────────────
//   0 │ samples │ wrong   │ requests│ weight  │    the last two: the totals that were read last
//     ├─────────┼─────────┼─────────┼─────────┼──────────────────
//   n │ intent  │ done    │ seen    │ pid     │
//     └─────────┴─────────┴─────────┴─────────┴──────────────────
const LINE_BYTES = 64;
const LINE_WORDS = LINE_BYTES / 8;
const INTENT = 0;
const DONE = 1;
const SEEN = 2;
const PID = 3;
const SAMPLES = 0;
const WRONG = 1;
const TOTALS = 2;

/**
 * A mapped file of numbers that outlives the processes that write them. A worker says what it is
 * about to count before each update, and what it has counted after it: a process that is killed has
 * done at most one update in between.
 */
export class Ledger {
  readonly path: string;
  readonly #words: BigUint64Array;

  private constructor(path: string) {
    const file = openFile(path, { write: true });
    const bytes = file.map(0, file.size());
    file.close();
    if (bytes === null) throw new Error(`Cannot map "${path}": ${file.mappingReason}`);
    this.path = path;
    this.#words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  }

  /** A new one, for workers of the numbers 1 to `workers`. */
  static create(path: string, workers: number): Ledger {
    writeFileSync(path, new Uint8Array((workers + 1) * LINE_BYTES), { flag: "wx" });
    return new Ledger(path);
  }

  static open(path: string): Ledger {
    return new Ledger(path);
  }

  /** Numbers of workers that there is room for. */
  get capacity(): number {
    return this.#words.length / LINE_WORDS - 1;
  }

  enter(worker: number, pid: number): void {
    this.#set(worker, PID, BigInt(pid));
  }

  // Atomic, so that neither compiler nor processor does the update in between before or after.

  /** Before an update. */
  intend(worker: number, by: bigint): void {
    Atomics.add(this.#words, worker * LINE_WORDS + INTENT, by);
  }

  /** After it. */
  confirm(worker: number, by: bigint): void {
    Atomics.add(this.#words, worker * LINE_WORDS + DONE, by);
  }

  /** A supervisor has read a value of the worker. */
  see(worker: number, value: bigint): void {
    if (value > this.#get(worker, SEEN)) this.#set(worker, SEEN, value);
  }

  /** What the last reading said that the total of a field is, whichever supervisor's it was. */
  total(field: number): bigint {
    return this.#get(0, TOTALS + field);
  }

  setTotal(field: number, value: bigint): void {
    this.#set(0, TOTALS + field, value);
  }

  /** Counts a reading. */
  tally(right: boolean): void {
    Atomics.add(this.#words, SAMPLES, 1n);
    if (!right) Atomics.add(this.#words, WRONG, 1n);
  }

  /** How often totals were read, by all supervisors. */
  get samples(): number {
    return Number(this.#get(0, SAMPLES));
  }

  /** How many of these readings were wrong. */
  get wrong(): number {
    return Number(this.#get(0, WRONG));
  }

  /** One number of each worker, of now; index 0 is no worker's. */
  intents(): bigint[] {
    return this.#column(INTENT);
  }

  dones(): bigint[] {
    return this.#column(DONE);
  }

  /** The most that has been read of each. */
  sights(): bigint[] {
    return this.#column(SEEN);
  }

  /** Workers that have ended between the two. */
  get unfinished(): number {
    const dones = this.dones();
    return this.intents().filter((intent, worker) => intent !== dones[worker]).length;
  }

  /** The number of each worker by its process, the latest one where an id has come again. */
  numbersByPid(): Map<number, number> {
    const numbers = new Map<number, number>();
    for (let worker = 1; worker <= this.capacity; worker++) {
      const pid = Number(this.#get(worker, PID));
      if (pid !== 0) numbers.set(pid, worker);
    }
    return numbers;
  }

  #column(which: number): bigint[] {
    const column = [0n];
    for (let worker = 1; worker <= this.capacity; worker++) column.push(this.#get(worker, which));
    return column;
  }

  #get(line: number, word: number): bigint {
    return Atomics.load(this.#words, line * LINE_WORDS + word);
  }

  #set(line: number, word: number, value: bigint): void {
    Atomics.store(this.#words, line * LINE_WORDS + word, value);
  }
}
