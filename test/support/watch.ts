import type { Scene } from "./scene.ts";
import { until } from "./until.ts";

/** Reads the totals as often as the event loop allows, and remembers the first one that is wrong. */
export class Watch {
  /** How often the totals were read. */
  count = 0;
  #problem: string | null = null;
  #running = true;

  constructor(scene: Scene, check: () => string | null) {
    const round = (): void => {
      if (!this.#running) return;
      this.#problem ??= check();
      this.count++;
      setImmediate(round);
    };
    scene.atEnd(() => {
      this.#running = false;
    });
    round();
  }

  /** A total that must have one value at every moment. */
  static constant(scene: Scene, service: string, field: string, value: bigint): Watch {
    return new Watch(scene, () => {
      const total = scene.total(service, field);
      return total === value ? null : `the total is ${total}, not ${value}`;
    });
  }

  /** A total that must never go down, of a service with at most so many workers. */
  static rising(scene: Scene, service: string, field: string, workers: number): Watch {
    let last = 0n;
    return new Watch(scene, () => {
      const total = scene.total(service, field);
      const count = scene.monitor.sample()[service]?.worker_count ?? 0;
      if (count > workers) return `${count} workers are counted, there are ${workers}`;
      if (total < last) return `the total fell from ${last} to ${total}`;
      last = total;
      return null;
    });
  }

  /** Ends it, once some totals have been read. Throws if one was wrong. */
  async end(): Promise<void> {
    await until(() => this.count >= 10 || this.#problem !== null, "ten totals");
    this.#running = false;
    if (this.#problem !== null) throw new Error(this.#problem);
  }
}
