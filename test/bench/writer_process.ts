// The same as writer.c, where there is no C compiler: node writer_process.js FILE CONTROL.

import { openFile } from "../../host/mapping/index.ts";
import { ASKED, DONE, SEGMENTS, SIZE, WORDS } from "./just_written.ts";

function mapWhole(path: string): Uint8Array {
  const file = openFile(path, { write: true });
  return file.map(0, file.size())!;
}

const file = mapWhole(process.argv[2]!);
const words = new BigUint64Array(file.buffer, file.byteOffset, file.length >>> 3);
const bytes = mapWhole(process.argv[3]!);
const control = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
const pause = new Int32Array(new SharedArrayBuffer(4));
const parent = process.ppid;

let done = 0;
for (;;) {
  const asked = Atomics.load(control, ASKED);
  if (asked < 0 || process.ppid !== parent) process.exit(0);
  if (asked === done) {
    Atomics.wait(pause, 0, 0, 0.02);
    continue;
  }
  const count = control[WORDS]!;
  for (let segment = 0; segment < control[SEGMENTS]!; segment++) {
    const first = (segment * control[SIZE]!) / 8;
    for (let i = first; i < first + count; i++) words[i] = words[i]!;
  }
  done = asked;
  Atomics.store(control, DONE, done);
}
