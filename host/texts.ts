// What workers say of themselves, read from their segments.

import type { SegmentAllocator } from "./segment_allocator.ts";
import type { Group } from "./service.ts";
import { readText } from "./text.ts";
import { type Texts, textSizeOf } from "./text_field.ts";

/** A worker, and where it writes. */
export interface Writer {
  readonly group: Group;
  /** Of its segment in the file. */
  readonly offset: number;
}

/** What one worker says; undefined where it says nothing. */
export function textsOf(
  { group, offset }: Writer,
  { file, usedSize }: Pick<SegmentAllocator, "file" | "usedSize">,
): Texts | undefined {
  if (group.texts.length === 0) return undefined;
  const { bytes } = file.view(usedSize);
  const texts: Texts = Object.create(null);
  for (const { name, type, offset: inSegment } of group.texts) {
    const text = readText(bytes, offset + inSegment, textSizeOf(type));
    if (text !== "") texts[name] = text;
  }
  return Object.keys(texts).length > 0 ? texts : undefined;
}

/**
 * What the workers of each service say: of each field the last one that says anything, in the order
 * in which they are given. Services and fields without are left out.
 */
export function textsByService(
  writers: readonly Writer[],
  { file, usedSize }: Pick<SegmentAllocator, "file" | "usedSize">,
): Record<string, Texts> {
  const found = new Map<string, Map<string, string>>();
  let missing = 0;
  for (const { group } of writers) {
    for (const { name } of group.texts) {
      let texts = found.get(group.service.name);
      if (texts === undefined) {
        texts = new Map();
        found.set(group.service.name, texts);
      }
      if (texts.has(name)) continue;
      texts.set(name, "");
      missing++;
    }
  }
  if (missing === 0) return Object.create(null);
  const { bytes } = file.view(usedSize);
  // From the last one on: of thousands that say the same, one needs to be read.
  for (let index = writers.length - 1; index >= 0 && missing > 0; index--) {
    const { group, offset } = writers[index]!;
    const texts = found.get(group.service.name);
    for (const { name, type, offset: inSegment } of group.texts) {
      if (texts!.get(name) !== "") continue;
      const text = readText(bytes, offset + inSegment, textSizeOf(type));
      if (text === "") continue;
      texts!.set(name, text);
      missing--;
    }
  }
  return said(found);
}

function said(found: ReadonlyMap<string, ReadonlyMap<string, string>>): Record<string, Texts> {
  const result: Record<string, Texts> = Object.create(null);
  for (const [service, texts] of found) {
    const own: Texts = Object.create(null);
    for (const [name, text] of texts) if (text !== "") own[name] = text;
    if (Object.keys(own).length > 0) result[service] = own;
  }
  return result;
}
