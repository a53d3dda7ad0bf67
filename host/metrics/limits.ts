import type { Field } from "../field.ts";
import { isSigned, sizeOf } from "../field_type.ts";

/** The lowest value of an integer field. Counters do not go below zero, whatever their type. */
export function minimumOf({ type, kind }: Field): number {
  return isSigned(type) && kind === "gauge" ? -(2 ** (sizeOf(type) * 8 - 1)) : 0;
}
