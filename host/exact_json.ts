/**
 * JSON text in which every number keeps its digits: bigints are written whole, and what JSON
 * cannot say (NaN, infinities) is `null` instead of losing the document.
 */
export function exactJson(value: unknown): string {
  switch (typeof value) {
    case "bigint":
      return value.toString();
    case "number":
      return Number.isFinite(value) ? String(value) : "null";
    case "object": {
      if (value === null) return "null";
      if (Array.isArray(value)) return `[${value.map(exactJson).join(",")}]`;
      const members: string[] = [];
      for (const [key, member] of Object.entries(value)) {
        if (member !== undefined) members.push(`${JSON.stringify(key)}:${exactJson(member)}`);
      }
      return `{${members.join(",")}}`;
    }
    default:
      return JSON.stringify(value) ?? "null";
  }
}

/** The same, and fast where there is no bigint in it: the engine's own, that refuses those. */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch {
    return exactJson(value);
  }
}
