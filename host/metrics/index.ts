import type { Field } from "../field.ts";
import { type FieldType, isBigEndian, isInteger, sizeOf } from "../field_type.ts";
import type { Logger } from "../log.ts";
import type { Metric } from "../metric.ts";
import { BigEndianMetric } from "./big_endian_metric.ts";
import { FloatMetric } from "./float_metric.ts";
import { SmallMetric } from "./small_metric.ts";
import { WideMetric } from "./wide_metric.ts";

/**
 * A metric for a field, zero, in memory of its own.
 *
 * There is one class for each kind of arithmetic, so that a method meets few classes of typed
 * array, most often one, and is compiled for exactly that: an increment is then a few instructions.
 */
export function createMetric(field: Field, log: Logger): Metric {
  if (isBigEndian(field.type)) {
    const native = { ...field, type: field.type.toLowerCase() as FieldType };
    return new BigEndianMetric(field, log, createMetric(native, log));
  }
  if (!isInteger(field.type)) return new FloatMetric(field, log);
  return sizeOf(field.type) === 8 ? new WideMetric(field, log) : new SmallMetric(field, log);
}
