import { extname } from "node:path";
import type { WorkerSample } from "../../host/sample.ts";
import type { Child } from "./child.ts";
import { isDeno } from "./runtime.ts";
import type { Scene } from "./scene.ts";
import { until } from "./until.ts";

/** Compiled, or not, as this file is. */
export const AUTO_URL: string = new URL(
  `../../host/auto${extname(new URL(import.meta.url).pathname)}`,
  import.meta.url,
).href;

/** Why there is nothing to test here. */
export const notNode: string | false = isDeno && "--import is Node's";

/** What makes a Node process below count for the supervisor of a scene. */
export function instrumented(scene: Scene): Record<string, string> {
  return { NODE_OPTIONS: `--import ${AUTO_URL}`, UTILIZATION_SUPERVISOR: scene.socket };
}

/** An application of the service "web"; not registered yet when this returns. */
export function startApplication(
  scene: Scene,
  environment: Readonly<Record<string, string>> = {},
  fixture = "auto_process",
): Child {
  return scene.child(fixture, {
    ...instrumented(scene),
    UTILIZATION_NAME: "web",
    ...environment,
  });
}

/** Waits until the sums of a service are these, and looks at no other field. */
export async function untilSums(
  scene: Scene,
  expected: Readonly<Record<string, number>>,
  service = "web",
): Promise<void> {
  let last: unknown;
  const isSo = (): boolean => {
    const sums = scene.monitor.sample()[service];
    last = sums;
    return Object.entries(expected).every(([name, value]) => sums?.[name] === value);
  };
  try {
    await until(isSo, "");
  } catch {
    throw new Error(
      `Waited in vain for ${JSON.stringify(expected)}: ${JSON.stringify(last)}; ${scene.log.entries.join("\n")}`,
    );
  }
}

/** The workers of a service. */
export function workersOf(scene: Scene, service: string): WorkerSample<number>[] {
  return scene.monitor.sampleByWorker().filter((worker) => worker.service === service);
}
