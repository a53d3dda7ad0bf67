import { join } from "node:path";
import type { SupervisorLimits } from "../../host/limits.ts";
import { Supervisor } from "../../host/supervisor.ts";
import {
  UtilizationMonitor,
  type UtilizationMonitorOptions,
} from "../../host/utilization_monitor.ts";
import { afterTest, type Test } from "./after_test.ts";
import { Child } from "./child.ts";
import { Cuttable } from "./cuttable.ts";
import { temporaryFolder } from "./folder.ts";
import { CollectingLogger } from "./log.ts";
import type { Runtime } from "./runtime.ts";
import { until } from "./until.ts";

export interface SceneOptions extends UtilizationMonitorOptions {
  readonly probeMs?: number;
  /** Another socket than the scene's. */
  readonly socket?: string;
  readonly peerLimits?: SupervisorLimits;
}

/** Which worker a worker process opens, and how. */
export interface WorkerArguments {
  /** Tells apart several workers of one process. */
  readonly key?: string;
  readonly name?: string;
  readonly schema?: Readonly<Record<string, string | object>>;
  readonly socket?: string;
  readonly mapping?: string;
  readonly requireMapping?: boolean;
  readonly flushMs?: number;
  readonly heartbeatMs?: number;
}

export const SCHEMA = { requests_total: "u64", requests_active: "u32" } as const;

/** A folder, the processes and whatever else a test starts: all of it ends with the test. */
export class Scene {
  readonly folder: string;
  /** The socket and the file of the supervisor. */
  readonly socket: string;
  readonly file: string;
  readonly log: CollectingLogger = new CollectingLogger();
  readonly #ends: (() => unknown)[] = [];
  #monitor: UtilizationMonitor | null = null;
  #supervisor: Supervisor | null = null;

  constructor(test: Test) {
    afterTest(test, async () => {
      for (const end of this.#ends.reverse()) await end();
    });
    this.folder = temporaryFolder(test);
    this.socket = this.path("a.ipc");
    this.file = this.path("a.shm");
  }

  /** A scene with a supervisor in this process. */
  static async supervised(test: Test, options: SceneOptions = {}): Promise<Scene> {
    const scene = new Scene(test);
    await scene.supervise(options);
    return scene;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Something to do when the test has ended. */
  atEnd(action: () => unknown): void {
    this.#ends.push(action);
  }

  get monitor(): UtilizationMonitor {
    return this.#monitor!;
  }

  get supervisor(): Supervisor {
    return this.#supervisor!;
  }

  get freeCount(): number {
    return this.monitor.allocator!.availableCount;
  }

  async supervise(options: SceneOptions = {}): Promise<void> {
    const { probeMs = 0, socket = this.socket, peerLimits: limits, ...others } = options;
    const { file, log } = this;
    this.#monitor = new UtilizationMonitor({ path: file, log, ...others });
    const monitors = [this.#monitor];
    const supervisor = await Supervisor.listen({ socket, monitors, log, probeMs, limits });
    this.#supervisor = supervisor;
    this.atEnd(() => supervisor.close());
  }

  child(fixture: string, environment?: Readonly<Record<string, string>>, runtime?: Runtime): Child {
    const child = new Child(fixture, environment, runtime);
    this.atEnd(() => child.kill());
    return child;
  }

  /** A process with one of our workers; not registered yet when this returns. */
  async worker(options: WorkerArguments = {}): Promise<Child> {
    const child = this.child("worker_process");
    await child.ask("open", { name: "web", schema: SCHEMA, socket: this.socket, ...options });
    return child;
  }

  /** The same, registered. */
  async registered(options: WorkerArguments = {}): Promise<Child> {
    const child = await this.worker(options);
    await this.sees(child);
    return child;
  }

  /** A process that counts by itself and speaks the protocol as Ruby workers do. */
  async ruby(options: object = {}): Promise<Child> {
    const child = this.child("ruby_process");
    await child.ask("register", { name: "ruby", socket: this.socket, ...options });
    return child;
  }

  async cuttable(name = "p.ipc"): Promise<Cuttable> {
    const cuttable = await Cuttable.listen(this.path(name), this.socket);
    this.atEnd(() => cuttable.close());
    return cuttable;
  }

  /** Waits until the monitor reads `count` workers of the process. */
  async sees({ pid }: { readonly pid: number }, count = 1): Promise<void> {
    await until(
      () =>
        this.monitor.sampleByWorker().filter(({ processId }) => processId === pid).length === count,
      `the monitor sees ${count} workers of process ${pid}`,
    );
  }

  /** Waits until a value of the live workers' sum is as expected. */
  async sums(service: string, field: string, value: number): Promise<void> {
    await until(
      () => this.monitor.sample()[service]?.[field] === value,
      `${service}.${field} is ${value} in a sample`,
    );
  }

  /** The total of a counter now. */
  total(service: string, field = "requests_total"): bigint {
    return (this.monitor.totals({ bigint: true })[service]?.[field] as bigint | undefined) ?? 0n;
  }
}
