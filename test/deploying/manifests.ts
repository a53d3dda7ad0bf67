// Files for engines that are not here: whether they are what they should be, and say what there is.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { projectFile } from "../data.ts";
import { runCli } from "../fixtures/cli_process.ts";
import { temporaryFolder } from "../support/folder.ts";
import { example, Service, UTILIZATION } from "./example.ts";

interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly command: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: { readonly httpGet: { readonly path: string; readonly port: string } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

const { loadAll } = createRequire(projectFile("test/tools/package.json"))("js-yaml") as {
  loadAll(text: string): unknown[];
};

function read(name: string): string {
  return readFileSync(example(name), "utf8");
}

/** The arguments of `utilization` in a command line; null where it does not run it. */
function argumentsIn(words: readonly string[]): string[] | null {
  const at = words.findIndex((word) => word.endsWith("/utilization"));
  return at === -1 ? null : words.slice(at + 1);
}

const dockerfile = read("docker/Dockerfile").replaceAll("\\\n", "");
const check = JSON.parse(/HEALTHCHECK .*CMD (\[.*\])/.exec(dockerfile)![1]!) as string[];
const compose = loadAll(read("docker/compose.yaml"))[0] as {
  readonly services: Record<
    string,
    { command: string[]; volumes: string[]; healthcheck?: { test: string[] } }
  >;
  readonly volumes: object;
};
const [deployment, monitor] = loadAll(read("kubernetes/web.yaml")) as [
  { spec: { template: { metadata: { labels: object }; spec: Record<string, Container[]> } } },
  { spec: { selector: { matchLabels: object }; podMetricsEndpoints: { port: string }[] } },
];

it("all options of `utilization` in the examples are known", async (t) => {
  const pod = deployment.spec.template.spec;
  const commands = [
    JSON.parse(/^CMD (\[.*\])$/m.exec(dockerfile)![1]!) as string[],
    ...Object.values(compose.services).map(({ command }) => command),
    ...[...pod.initContainers!, ...pod.containers!].map(({ command, args = [] }) => [
      ...command,
      ...args,
    ]),
    ...readdirSync(example("systemd")).map((unit) =>
      /^ExecStart=(.*)$/m.exec(read(join("systemd", unit)))![1]!.split(" "),
    ),
  ];
  const lines = commands.map(argumentsIn).filter((line) => line !== null);
  assert.equal(lines.length, 5);
  for (const [command = "", ...options] of lines) {
    const own = options.includes("--") ? options.slice(0, options.indexOf("--")) : options;
    const { code, stderr } = await runCli(t, [command, ...own, "--help"]);
    assert.equal(code, 0, `${command} ${own.join(" ")}: ${stderr}`);
  }
});

it("the sidecar and the workers share a folder, a port and labels", () => {
  const { metadata, spec } = deployment.spec.template;
  const [sidecar] = spec.initContainers!;
  const [worker] = spec.containers!;
  assert.equal(sidecar!.restartPolicy, "Always");
  const volumes = (spec.volumes as unknown as { name: string }[]).map(({ name }) => name);
  const folders = [sidecar!, worker!].map(({ volumeMounts }) => volumeMounts[0]!);
  assert.deepEqual(folders[0], folders[1]);
  assert.ok(volumes.includes(folders[0]!.name));
  const dir = sidecar!.args![sidecar!.args!.indexOf("--dir") + 1]!;
  assert.ok(dir.startsWith(`${folders[0]!.mountPath}/`), "below the volume");
  const socket = worker!.env!.find(({ name }) => name === "UTILIZATION_SUPERVISOR")!.value;
  assert.equal(socket, `${dir}/default.ipc`);
  const names = sidecar!.ports.map(({ name }) => name);
  assert.ok(names.includes(sidecar!.startupProbe!.httpGet.port));
  assert.ok(names.includes(monitor.spec.podMetricsEndpoints[0]!.port));
  assert.deepEqual(monitor.spec.selector.matchLabels, metadata.labels);
});

it("the services of compose.yaml share a volume that is there", () => {
  const used = Object.values(compose.services).flatMap(({ volumes }) => volumes);
  assert.equal(new Set(used).size, 1);
  assert.ok(used[0]!.split(":")[0]! in compose.volumes);
  assert.deepEqual(compose.services.utilization!.healthcheck!.test.slice(1), check);
});

it("the health check tells one that serves from one that does not", {
  timeout: 60_000,
}, async (t) => {
  const words = ["supervise", "--dir", temporaryFolder(t), "--http", "127.0.0.1:0"];
  const service = new Service(t, [process.execPath, UTILIZATION, ...words]);
  const port = await service.says(/Serving http:\/\/127\.0\.0\.1:(\d+)/);
  const [, ...args] = check.map((word) => word.replace("9464", port));
  await promisify(execFile)(process.execPath, args);
  service.process.kill("SIGTERM");
  await service.exited;
  await assert.rejects(promisify(execFile)(process.execPath, args), { code: 1 });
});
