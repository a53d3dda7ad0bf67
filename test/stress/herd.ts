import { Child } from "../support/child.ts";
import type { Ledger } from "./ledger.ts";

/** How long one step may take on a machine that is busy with something else. */
export const DEADLINE_MS = 60_000;

/** A worker process, and the number that it has in the ledger. */
export interface Member {
  readonly number: number;
  readonly child: Child;
  /** Whether it counts: registered, and not told to die. */
  ready: boolean;
  /** Settled when it counts, or has ended. */
  readonly started: Promise<void>;
}

/** Worker processes that count, die and are replaced. */
export class Herd {
  readonly #socket: string;
  readonly #ledger: Ledger;
  readonly #members: Set<Member> = new Set();
  readonly #problems: string[] = [];
  #last = 0;

  constructor(socket: string, ledger: Ledger) {
    this.#socket = socket;
    this.#ledger = ledger;
  }

  /** Those that nobody has killed. */
  get members(): readonly Member[] {
    return [...this.#members];
  }

  /** How many processes there have been. */
  get count(): number {
    return this.#last;
  }

  /** What became of processes that nobody had killed. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  get ready(): readonly Member[] {
    return this.members.filter(({ ready }) => ready);
  }

  /** Starts a worker. It counts once it has found the supervisor. */
  add(socket: string = this.#socket): Member {
    const number = ++this.#last;
    const child = new Child("stress_worker");
    const place = { socket, ledger: this.#ledger.path, number, deadlineMs: DEADLINE_MS };
    const start = async (): Promise<void> => {
      try {
        await child.ask("start", place);
        member.ready = this.#members.has(member);
      } catch (error) {
        if (this.#members.has(member)) this.#lost(member, (error as Error).message);
      }
    };
    const member: Member = { number, child, ready: false, started: Promise.resolve().then(start) };
    this.#members.add(member);
    void child.exited.then(() => {
      if (this.#members.has(member)) this.#lost(member, "it has ended");
    });
    return member;
  }

  #lost(member: Member, reason: string): void {
    this.#forget(member);
    const { number, child } = member;
    this.#problems.push([`worker ${number}: ${reason}`, ...child.log.slice(-5)].join("\n"));
    void child.kill();
  }

  #forget(member: Member): void {
    member.ready = false;
    this.#members.delete(member);
  }

  /** Ends a worker by what `action` does, and waits until it is gone. */
  async end(member: Member, action: (child: Child) => unknown): Promise<void> {
    this.#forget(member);
    try {
      await action(member.child);
      await member.child.exited;
    } catch (error) {
      this.#lost(member, (error as Error).message);
    }
  }

  /** Has all of them count no more. Afterwards all that was intended is done. */
  async rest(): Promise<void> {
    await Promise.all(this.ready.map(({ child }) => child.ask("rest")));
  }

  /** Whatever else has happened. */
  async killAll(): Promise<void> {
    const members = this.members;
    for (const member of members) this.#forget(member);
    await Promise.all(members.map(({ child }) => child.kill()));
  }
}
