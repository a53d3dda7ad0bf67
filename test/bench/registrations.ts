// Registrations over the socket, per second of the supervisor's processor time. The supervisor is a
// process of its own; another one stands for all the workers, and speaks the real protocol.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { progress, type Results } from "./results.ts";
import { makeRow } from "./row.ts";
import type { Settings } from "./settings.ts";

/** What registration_supervisor.ts answers to any message. */
export interface SupervisorUsage {
  /** Microseconds of processor time since its start. */
  readonly cpu: number;
  readonly workers: number;
}

export async function measureRegistrations(
  folder: string,
  settings: Settings,
  results: Results,
): Promise<void> {
  const { registrations, registrationsBefore, rounds } = settings;
  const name = "registrations per second of processor time";
  // A connection each, all kept open: unlike dead workers, they are not to be cleared away.
  const needed = registrationsBefore + rounds * registrations;
  const allowed = openFilesAllowed() - 100;
  if (needed > allowed) return results.skip(name, `only ${allowed} open files are allowed`);
  progress(`registrations: ${registrationsBefore} + ${rounds} × ${registrations}`);
  const socket = join(folder, "bench.ipc");
  const supervisor = start("registration_supervisor.js", socket, join(folder, "bench.shm"));
  const clients = start("registration_clients.js", socket);
  try {
    await once(supervisor, "message");
    await ask(clients, registrationsBefore);
    const perSecond: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const before = await ask<SupervisorUsage>(supervisor, {});
      await ask(clients, registrations);
      const after = await ask<SupervisorUsage>(supervisor, {});
      const count = registrationsBefore + round * registrations;
      results.check("registered workers", after.workers, count);
      perSecond.push(registrations / ((after.cpu - before.cpu) / 1e6));
    }
    results.add(makeRow(name, "1/s", perSecond, { target: { atLeast: 3000 } }));
  } finally {
    clients.kill();
    supervisor.kill();
  }
}

function start(program: string, ...values: string[]): ChildProcess {
  const path = fileURLToPath(new URL(`./${program}`, import.meta.url));
  // Output of their own would end up in ours.
  return fork(path, values, { stdio: ["ignore", 2, 2, "ipc"] });
}

/** What the child answers; an error when it ends instead. */
async function ask<Answer>(child: ChildProcess, message: object | number): Promise<Answer> {
  const settled = new AbortController();
  const { signal } = settled;
  const ended = once(child, "exit", { signal }).then(([code]) => {
    throw new Error(`A process of the benchmark ended with ${code}`);
  });
  const answer = once(child, "message", { signal }).then(([value]) => value as Answer);
  child.send(message);
  try {
    return await Promise.race([answer, ended]);
  } finally {
    // Neither is waited for any more.
    for (const promise of [answer, ended]) promise.catch(() => {});
    settled.abort();
  }
}

/** By the limit that Node raises to the highest allowed; without end where it cannot be known. */
function openFilesAllowed(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
