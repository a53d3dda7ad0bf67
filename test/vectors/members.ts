// The member lists of a group, as the core keeps them: the last one takes the place of one that
// goes. Rows are staged in that order.

import { BATCH_ROWS, type DETACHED, LIVE, OK, STAGE_BYTES } from "../../assembly/layout.ts";
import { sizeOfType } from "../reference.ts";
import type { Field, Script } from "./script.ts";

export class Members {
  readonly index: number;
  readonly fields: readonly Field[];
  /** Bytes of each member by segment. */
  readonly live: Map<number, Uint8Array> = new Map();
  readonly detached: Map<number, Uint8Array> = new Map();

  constructor(index: number, fields: readonly Field[]) {
    this.index = index;
    this.fields = fields;
  }

  add(segment: number, bytes: Uint8Array): void {
    this.live.set(segment, bytes);
  }

  /** Bytes of a row in the stage: the used prefix of a segment in whole words. */
  get stride(): number {
    const ends = this.fields.map(({ type, offset }) => offset + sizeOfType(type)!);
    return Math.ceil(Math.max(0, ...ends) / 8) * 8;
  }

  row(bytes: Uint8Array): Uint8Array {
    const row = new Uint8Array(this.stride);
    row.set(bytes.subarray(0, this.stride));
    return row;
  }

  /** Stages and accumulates the members of a list, a batch at a time. */
  accumulate(script: Script, list: typeof LIVE | typeof DETACHED): void {
    const rows = [...(list === LIVE ? this.live : this.detached).values()];
    const batch = Math.min(BATCH_ROWS, Math.floor(STAGE_BYTES / this.stride));
    for (let first = 0; first < rows.length; first += batch) {
      const staged = rows.slice(first, first + batch);
      script.stage(staged.map((bytes) => this.row(bytes)));
      script.call("accumulate", [this.index, list, first, staged.length], OK);
    }
  }

  remove(segment: number): void {
    if (!removeFrom(this.live, segment)) removeFrom(this.detached, segment);
  }

  detach(segment: number): void {
    const bytes = this.live.get(segment)!;
    removeFrom(this.live, segment);
    this.detached.set(segment, bytes);
  }
}

function removeFrom(list: Map<number, Uint8Array>, segment: number): boolean {
  const members = [...list];
  const position = members.findIndex(([member]) => member === segment);
  if (position < 0) return false;
  const last = members.pop()!;
  if (position < members.length) members[position] = last;
  list.clear();
  for (const [member, bytes] of members) list.set(member, bytes);
  return true;
}
