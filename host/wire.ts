// Schemas and statuses in the form that they have on the wire, where names are Symbols.

import { toException } from "./bus/errors.ts";
import { plain, type RemoteException, RubySymbol, symbol } from "./bus/values.ts";
import type { Row } from "./schema.ts";
import { isTextType } from "./text_field.ts";

/**
 * What a worker tells as `wire` in its state. With one number, either side may say more than the
 * other knows (keys of maps, elements of arrays, arguments), which is then ignored.
 */
export const WIRE_VERSION = 1;

/**
 * The rows of a schema, to be sent. The type of a text is a String: one that Ruby does not know is
 * dropped in silence then, where a Symbol would be a warning at each of its samples.
 */
export function rowsToWire(rows: readonly Row[]): unknown[] {
  return rows.map(([name, type, offset, options]) => {
    const row: unknown[] = [symbol(name), isTextType(type) ? type : symbol(type), offset];
    if (options !== undefined) row.push(symbolMap(options));
    return row;
  });
}

/**
 * The schema rows of a worker as they came over the wire, in the form that `parseRows` reads.
 * Types must be Symbols there, as in the original, those of texts may be Strings as well; names may
 * be Symbols or Strings.
 */
export function rowsFromWire(rows: unknown): unknown {
  if (!Array.isArray(rows)) return rows;
  return rows.map((row: unknown) => {
    if (!Array.isArray(row)) return row;
    const [name, type, ...rest]: unknown[] = row;
    return [plain(name), typeFromWire(type), ...rest.map(plain)];
  });
}

function typeFromWire(type: unknown): string | null {
  if (type instanceof RubySymbol) return type.name;
  return isTextType(type) ? type : null;
}

/** The status of a monitor, to be sent. Services are Strings, as in the original. */
export function statusToWire(
  status: { readonly type: string; readonly data: object } | Error,
): Map<unknown, unknown> | RemoteException {
  if (status instanceof Error) return toException(status);
  const services = Object.entries(status.data);
  const data = new Map(
    services.map(([name, fields]: [string, object]) => [name, symbolMap(fields)]),
  );
  return symbolMap({ type: status.type, data });
}

/** A map with Symbols for keys. */
export function symbolMap(object: object): Map<RubySymbol, unknown> {
  return new Map(Object.entries(object).map(([key, value]) => [symbol(key), value]));
}
