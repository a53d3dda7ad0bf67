import { plain, RubySymbol } from "./bus/values.ts";

/**
 * The schema rows of a worker as they came over the wire, in the form that `parseRows` reads.
 * Types must be Symbols there, as in the original; names may be Symbols or Strings.
 */
export function rowsFromWire(rows: unknown): unknown {
  if (!Array.isArray(rows)) return rows;
  return rows.map((row: unknown) => {
    if (!Array.isArray(row)) return row;
    const [name, type, ...rest]: unknown[] = row;
    return [plain(name), type instanceof RubySymbol ? type.name : null, ...rest.map(plain)];
  });
}
