// What the parts of a run hand in: rows, what could not be measured, and failed checks.

import type { Scrape } from "./blocked_worker.ts";
import type { Row } from "./row.ts";

/** What readers got while a worker was blocked. */
export interface Blocked {
  readonly rival: string;
  readonly blockMs: number;
  readonly scrapes: readonly Scrape[];
}

export interface Targets {
  readonly met: number;
  readonly of: number;
  /** Names of the rows that miss theirs. */
  readonly missed: readonly string[];
}

export class Results {
  readonly rows: Row[] = [];
  readonly notMeasured: { readonly name: string; readonly reason: string }[] = [];
  readonly failures: string[] = [];
  readonly blocked: Blocked[] = [];

  get targets(): Targets {
    const judged = this.rows.filter(({ met }) => met !== null);
    const missed = judged.filter(({ met }) => !met).map(({ name }) => name);
    return { met: judged.length - missed.length, of: judged.length, missed };
  }

  add(...rows: readonly Row[]): void {
    this.rows.push(...rows);
  }

  skip(name: string, reason: string): void {
    this.notMeasured.push({ name, reason });
  }

  /** A comparison of two sides that did not compute the same is worth nothing: the run fails. */
  check(what: string, ours: unknown, theirs: unknown): void {
    const [a, b] = [comparable(ours), comparable(theirs)];
    if (a !== b) this.failures.push(`${what}: ${a.slice(0, 300)} is not ${b.slice(0, 300)}`);
  }
}

/** Where we are, on standard error: standard output is for the result. */
export function progress(message: string): void {
  console.error(message);
}

function comparable(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}` : part)) ?? "";
}
