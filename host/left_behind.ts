// What holders that have gone from view have left behind, and which of it a worker that comes may
// have left.

import type { Holder } from "./holder.ts";
import type { Group } from "./service.ts";
import type { Value } from "./value.ts";

/** What holders have left, by who they are. */
export class LeftByHolder<Left extends { readonly holder: Holder }> {
  readonly #byIdentity: Map<string, Set<Left>> = new Map();

  of(holder: Holder): Left[] {
    const identity = identityOf(holder);
    return identity === null ? [] : [...(this.#byIdentity.get(identity) ?? [])];
  }

  add(left: Left): void {
    const identity = identityOf(left.holder);
    if (identity === null) return;
    const known = this.#byIdentity.get(identity);
    if (known === undefined) this.#byIdentity.set(identity, new Set([left]));
    else known.add(left);
  }

  delete(left: Left): void {
    const identity = identityOf(left.holder);
    if (identity === null) return;
    const known = this.#byIdentity.get(identity);
    if (known?.delete(left) && known.size === 0) this.#byIdentity.delete(identity);
  }

  clear(): void {
    this.#byIdentity.clear();
  }
}

/** A worker's own random id, else its process: a pid alone is none. */
function identityOf({ incarnation, processId, startTime }: Holder): string | null {
  if (incarnation !== null) return `incarnation ${incarnation}`;
  return processId === null ? null : `process ${processId} ${startTime}`;
}

/** Whether no counter of `now` is below that of `before`. */
export function noneBelow(
  group: Group,
  now: Record<string, Value>,
  before: Record<string, Value>,
): boolean {
  return group.fields.every(
    ({ name, kind }) => kind !== "counter" || !(now[name]! < before[name]!),
  );
}

export function totalOf(group: Group, values: Record<string, Value>): number {
  let total = 0;
  for (const { name, kind } of group.fields) if (kind === "counter") total += Number(values[name]);
  return total;
}
