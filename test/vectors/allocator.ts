// allocator.txt: sequences of operations on the real SegmentAllocator, from allocator.json.
//
// The core counts segments where Ruby counts bytes, and where Ruby's allocator grows by itself a
// host sees NONE, grows, and asks again. `update_schema` and `read` only look their worker up.

import { NONE, OK } from "../../assembly/layout.ts";
import { readGolden } from "../golden_checks/check.ts";
import { Script } from "./script.ts";

interface Operation {
  op: "allocate" | "free" | "resize" | "update_schema" | "read";
  id: number;
  offset?: number | null;
  file_size: number;
  free_count: number;
}

interface Sequence {
  index: number;
  flavour: string;
  segment_size: number;
  start: { size: number; free: number[] };
  ops: Operation[];
  end: { free: number[]; allocated: [id: number, offset: number | null][] };
}

/** Flavours in which Ruby does what we do not want: see README.md beside the data. */
const DEVIATIONS: ReadonlySet<string> = new Set(["double_allocate", "unfit", "float_growth"]);
/** Every how many sequences of the others one is taken. */
const STEP = 5;

export function allocatorVectors(directory: string): string {
  const { sequences } = readGolden<{ sequences: Sequence[] }>(directory, "allocator.json");
  const script = new Script("Which segment is handed out to which worker, through growth.");
  const taken = sequences
    .filter(({ flavour }) => !DEVIATIONS.has(flavour))
    .filter((_, position) => position % STEP === 0);
  for (const sequence of taken) {
    script.case(`allocator_${sequence.index}_${sequence.flavour}`);
    run(script, sequence);
  }
  return script.text();
}

function run(script: Script, { segment_size: segmentSize, start, ops, end }: Sequence): void {
  const segmentsIn = (bytes: number): number => Math.floor(bytes / segmentSize);
  const segmentOf = (offset: number): number => offset / segmentSize;
  const held = new Map<number, number>();
  let capacity = segmentsIn(start.size);
  let available = start.free.length;
  script.call("init", [segmentSize], OK);
  script.call("grow", [capacity], OK);
  script.call("available", [], available);

  for (const { op, id, offset, file_size, free_count } of ops) {
    if (op === "allocate" && available === 0) script.call("allocate", [id, 0], NONE);
    if (segmentsIn(file_size) !== capacity) {
      capacity = segmentsIn(file_size);
      script.call("grow", [capacity], OK);
    }
    if (op === "allocate" && typeof offset === "number") {
      script.call("allocate", [id, 0], segmentOf(offset));
      held.set(id, segmentOf(offset));
    } else if (op !== "resize" && op !== "allocate") {
      const segment = held.get(id);
      script.call("find", [id], segment ?? NONE);
      if (op === "free" && segment !== undefined) {
        script.call("free", [segment, 0], OK);
        held.delete(id);
      }
    }
    if (free_count !== available) script.call("available", [], free_count);
    available = free_count;
  }

  script.call("capacity", [], capacity);
  // Ruby also records allocations that found no segment.
  for (const [id, offset] of end.allocated) {
    script.call("find", [id], offset === null ? NONE : segmentOf(offset));
  }
  let segment = NONE;
  for (const offset of end.free) {
    script.call("next", [segment], segmentOf(offset));
    segment = segmentOf(offset);
  }
  script.call("next", [segment], NONE);
}
