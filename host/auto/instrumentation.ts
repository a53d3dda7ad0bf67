import { clearTimeout, setInterval, setTimeout } from "node:timers";
import {
  getEnvironmentData,
  isMainThread,
  setEnvironmentData,
  threadId,
} from "node:worker_threads";
import { type Logger, safely } from "../log.ts";
import { Registry } from "../registry.ts";
import { Schema } from "../schema.ts";
import type { Worker } from "../worker.ts";
import { DURATION, DURATION_OPTIONS, PROCESS_FIELDS, THREAD_FIELDS } from "./fields.ts";
import { kindOf, mainScript, ownEnvironment, type ProcessKind, serviceName } from "./identity.ts";
import { quietLogger } from "./log.ts";
import { type MeasuredMetrics, Measures } from "./measures.ts";
import { AddedMetrics, type AutoRegistry } from "./registry.ts";
import { countTraffic } from "./traffic.ts";

/** What lives shorter was a command, not a worker. */
const SETTLED_MS = 1000;
const INTERVAL_MS = 1000;

/** What the main thread knows, for its threads. */
const ENVIRONMENT_KEY = "utilization-monitor.auto";

interface Identity {
  readonly name: string;
  readonly kind: ProcessKind;
}

/** The instrumentation of one thread. It counts from the start, and registers when it is time. */
export class Instrumentation {
  /** Where an application adds metrics. */
  readonly registry: AutoRegistry;
  readonly #identity: Identity;
  readonly #log: Logger;
  readonly #metrics: Registry;
  readonly #measures: Measures;
  readonly #settling: ReturnType<typeof setTimeout>;
  #isRegistering = false;
  #isPrimary = false;
  #worker: Worker | null = null;

  static start(): Instrumentation {
    return new Instrumentation();
  }

  private constructor() {
    this.#log = safely(quietLogger());
    this.#identity = ownIdentity();
    const schema: Schema = Schema.build(isMainThread ? PROCESS_FIELDS : THREAD_FIELDS);
    this.#metrics = new Registry(schema, { log: this.#log });
    const metrics = this.#metrics.metrics as MeasuredMetrics;
    this.#measures = new Measures(metrics);
    this.registry = new AddedMetrics(this.#metrics, this.#log, () => this.#register());
    const request_duration_seconds = this.#metrics.histogram(DURATION, DURATION_OPTIONS);
    countTraffic({ ...metrics, request_duration_seconds }, () => this.#register());
    this.#settling = setTimeout(() => this.#settled(), SETTLED_MS);
    this.#settling.unref();
  }

  #settled(): void {
    if (this.#identity.kind === "service") this.#register();
  }

  /** Looks for the supervisor from now on. Only now what does so is loaded: most commands never need it. */
  #register(): void {
    if (this.#isRegistering || this.#identity.kind === "none") return;
    this.#isRegistering = true;
    clearTimeout(this.#settling);
    Promise.all([import("../worker.ts"), import("node:cluster")])
      .then(([{ Worker }, { default: cluster }]) => {
        this.#watchCluster(cluster);
        const registry = this.#metrics;
        const instrumentation = this;
        this.#worker = new Worker({
          // It changes when a process turns out to be the primary of a cluster.
          get name(): string {
            return instrumentation.#name;
          },
          state: isMainThread ? {} : { thread: threadId },
          registry,
          // Of its own: that it is registered ends no other trouble.
          log: quietLogger(),
        }).run();
        setInterval(() => this.#look(), INTERVAL_MS).unref();
        process.once("exit", () => this.#end());
      })
      .catch((error: unknown) => this.#log.warn("Cannot look for a supervisor:", error));
  }

  /**
   * The primary of a cluster serves nobody, and a thread mostly helps another one: among the workers
   * of the service they would be taken for idle ones.
   */
  get #name(): string {
    const { name } = this.#identity;
    if (!isMainThread) return `${name}/threads`;
    return this.#isPrimary ? `${name}/primary` : name;
  }

  #watchCluster(cluster: typeof import("node:cluster").default): void {
    if (!isMainThread || !cluster.isPrimary) return;
    this.#isPrimary = Object.keys(cluster.workers ?? {}).length > 0;
    if (this.#isPrimary) return;
    cluster.once("fork", () => {
      this.#isPrimary = true;
      this.#worker?.reregister();
    });
  }

  #look(): void {
    try {
      if (this.#worker!.id === null) this.#measures.pause();
      else this.#measures.take();
    } catch (error) {
      this.#log.debug("Cannot measure:", error);
    }
  }

  #end(): void {
    this.#look();
    // The file stays mapped for as long as the process lives, and with it the segment of this thread.
    if (!isMainThread) void this.#worker!.close();
  }
}

function ownIdentity(): Identity {
  const known = isMainThread ? undefined : getEnvironmentData(ENVIRONMENT_KEY);
  if (known !== undefined) return known as unknown as Identity;
  const environment = ownEnvironment();
  const script = mainScript(process.argv[1], environment);
  const identity = { name: serviceName(script, environment), kind: kindOf(script) };
  if (isMainThread) setEnvironmentData(ENVIRONMENT_KEY, identity);
  return identity;
}
