// A supervisor that can be asked for a copy of its file:
//
//     node examples/hosts/chromium/supervise.js FOLDER
//
// It listens on FOLDER/app.ipc. Each line on standard input (Enter) writes FOLDER/copy.shm and
// FOLDER/copy.json, the two files that the page opens. It ends with its standard input.

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { Supervisor } from "../../../dist/host/index.js";
import { FileDescriber } from "./file_describer.js";

const folder = resolve(process.argv[2] ?? ".");
const monitor = new FileDescriber({ path: join(folder, "app.shm") });
const supervisor = await Supervisor.listen({
  socket: join(folder, "app.ipc"),
  monitors: [monitor],
});

for await (const _ of createInterface({ input: process.stdin })) {
  const description = monitor.describe();
  writeFileSync(join(folder, "copy.shm"), readFileSync(monitor.path));
  writeFileSync(join(folder, "copy.json"), `${JSON.stringify(description)}\n`);
  console.log(`Copied ${description.segments.length} segments to ${join(folder, "copy.shm")}`);
}
await supervisor.close();
