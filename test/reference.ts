// Decodes and sums in plain TypeScript, by the rules of the Ruby original: the oracle of the
// tests, and a rival in the benchmarks.

export type Value = number | bigint;
export type Row = readonly [name: string, type: string, offset: number];

const SIZES: Readonly<Record<string, number>> = { 8: 1, 16: 2, 32: 4, 64: 8 };

/** Bytes of a field, or undefined for a name that is not a type. */
export function sizeOfType(type: string): number | undefined {
  return /^([US]8|[usUSfF](16|32|64))$/.test(type) && !/^[fF]16$/.test(type)
    ? SIZES[type.slice(1)]
    : undefined;
}

/** The value at `offset`: bigint for integers, number for floats. */
export function decodeField(view: DataView, type: string, offset: number): Value {
  const little = type[0] === type[0]!.toLowerCase();
  switch (type.toLowerCase()) {
    case "u8":
      return BigInt(view.getUint8(offset));
    case "s8":
      return BigInt(view.getInt8(offset));
    case "u16":
      return BigInt(view.getUint16(offset, little));
    case "s16":
      return BigInt(view.getInt16(offset, little));
    case "u32":
      return BigInt(view.getUint32(offset, little));
    case "s32":
      return BigInt(view.getInt32(offset, little));
    case "u64":
      return view.getBigUint64(offset, little);
    case "s64":
      return view.getBigInt64(offset, little);
    case "f32":
      return view.getFloat32(offset, little);
    case "f64":
      return view.getFloat64(offset, little);
    default:
      throw new RangeError(`Cannot decode type "${type}"`);
  }
}

/** Ruby's `+`: integers exactly, float64 as soon as a float is in. */
export function add(a: Value, b: Value): Value {
  return typeof a === "bigint" && typeof b === "bigint" ? a + b : Number(a) + Number(b);
}

export interface ReferenceWorker {
  readonly service: string;
  readonly rows: readonly Row[];
  /** The bytes of its segment. */
  readonly segment: DataView;
}

/** The fields of one worker by name, in the order of its schema. */
export function decodeWorker({ rows, segment }: ReferenceWorker): Map<string, Value> {
  const values = new Map<string, Value>();
  for (const [name, type, offset] of rows) values.set(name, decodeField(segment, type, offset));
  return values;
}

/** Sums by service and field, in order of first appearance. */
export function aggregate(workers: Iterable<ReferenceWorker>): Map<string, Map<string, Value>> {
  const services = new Map<string, Map<string, Value>>();
  for (const worker of workers) {
    let sums = services.get(worker.service);
    if (sums === undefined) {
      sums = new Map();
      services.set(worker.service, sums);
    }
    for (const [name, value] of decodeWorker(worker))
      sums.set(name, add(sums.get(name) ?? 0n, value));
    sums.set("worker_count", add(sums.get("worker_count") ?? 0n, 1n));
  }
  return services;
}
