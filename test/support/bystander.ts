import assert from "node:assert/strict";
import type { Child } from "./child.ts";
import type { Scene } from "./scene.ts";
import { until } from "./until.ts";

/** An ordinary worker that counts while others misbehave. */
export class Bystander {
  readonly worker: Child;
  readonly #scene: Scene;

  private constructor(scene: Scene, worker: Child) {
    this.#scene = scene;
    this.worker = worker;
  }

  static async enter(scene: Scene): Promise<Bystander> {
    const worker = await scene.registered({ name: "bystander" });
    await worker.ask("add", { field: "requests_active", by: 3 });
    await worker.ask("count");
    return new Bystander(scene, worker);
  }

  /** Fails unless it is sampled as if nothing had happened, and goes on counting. */
  async isUnharmed(): Promise<void> {
    const read = () => this.#scene.monitor.sample().bystander!;
    const { requests_total: then, ...others } = read();
    assert.deepEqual(others, { requests_active: 3, worker_count: 1 });
    await until(() => read().requests_total! > then!, "the bystander is seen to count");
  }
}
