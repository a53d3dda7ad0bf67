// Values that show whether they are whole: all bytes of one are the same, in either byte order.

import { FIELD_TYPES, type FieldType } from "../../host/field_type.ts";
import { decodeField, type Value } from "../reference.ts";

/** Of 255 equal bytes on, a float is no number. */
const PATTERNS = 255;

/** A field of each type, named after it. */
export const EVERY_TYPE: Readonly<Record<FieldType, FieldType>> = Object.fromEntries(
  FIELD_TYPES.map((type) => [type, type]),
) as Record<FieldType, FieldType>;

/**
 * A counter of 64 bits beside them that grows by this: at every second step its lower half carries.
 * Only of whole values is it a divisor.
 */
export const COUNTER = "counted_total";
export const STEP = 2 ** 31 + 1;

/** The whole values of a type, zero among them. */
export function wholeValues(type: FieldType): Value[] {
  return Array.from({ length: PATTERNS }, (_, byte) =>
    decodeField(new DataView(new Uint8Array(8).fill(byte).buffer), type, 0),
  );
}
