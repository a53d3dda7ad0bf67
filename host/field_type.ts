import * as layout from "../assembly/layout.ts";

/** The type of a field, as Ruby's IO::Buffer names it: lower case little-endian, upper case big. */
export type FieldType =
  | "U8"
  | "S8"
  | "u16"
  | "U16"
  | "s16"
  | "S16"
  | "u32"
  | "U32"
  | "s32"
  | "S32"
  | "u64"
  | "U64"
  | "s64"
  | "S64"
  | "f32"
  | "F32"
  | "f64"
  | "F64";

/** Names that `Schema.build` takes as well. They never go over the wire. */
export type FieldTypeAlias = "u8" | "i8" | "i16" | "i32" | "i64";

const TYPES: ReadonlyMap<string, { readonly code: number; readonly size: number }> = new Map([
  ["U8", { code: layout.TYPE_U8, size: 1 }],
  ["S8", { code: layout.TYPE_S8, size: 1 }],
  ["u16", { code: layout.TYPE_U16_LE, size: 2 }],
  ["U16", { code: layout.TYPE_U16_BE, size: 2 }],
  ["s16", { code: layout.TYPE_S16_LE, size: 2 }],
  ["S16", { code: layout.TYPE_S16_BE, size: 2 }],
  ["u32", { code: layout.TYPE_U32_LE, size: 4 }],
  ["U32", { code: layout.TYPE_U32_BE, size: 4 }],
  ["s32", { code: layout.TYPE_S32_LE, size: 4 }],
  ["S32", { code: layout.TYPE_S32_BE, size: 4 }],
  ["u64", { code: layout.TYPE_U64_LE, size: 8 }],
  ["U64", { code: layout.TYPE_U64_BE, size: 8 }],
  ["s64", { code: layout.TYPE_S64_LE, size: 8 }],
  ["S64", { code: layout.TYPE_S64_BE, size: 8 }],
  ["f32", { code: layout.TYPE_F32_LE, size: 4 }],
  ["F32", { code: layout.TYPE_F32_BE, size: 4 }],
  ["f64", { code: layout.TYPE_F64_LE, size: 8 }],
  ["F64", { code: layout.TYPE_F64_BE, size: 8 }],
]);

const ALIASES: ReadonlyMap<string, FieldType> = new Map<FieldTypeAlias, FieldType>([
  ["u8", "U8"],
  ["i8", "S8"],
  ["i16", "s16"],
  ["i32", "s32"],
  ["i64", "s64"],
]);

/** All types, by code. */
export const FIELD_TYPES: readonly FieldType[] = [...TYPES.keys()] as FieldType[];

export const FIELD_TYPE_ALIASES: readonly FieldTypeAlias[] = [
  ...ALIASES.keys(),
] as FieldTypeAlias[];

/** Whether this is one of the 18 names. */
export function isFieldType(name: unknown): name is FieldType {
  return typeof name === "string" && TYPES.has(name);
}

/** Ruby's name of an alias; any other name as it is. */
export function resolveAlias(name: string): string {
  return ALIASES.get(name) ?? name;
}

/** The size of a value in bytes. */
export function sizeOf(type: FieldType): number {
  return TYPES.get(type)!.size;
}

/** The code of `assembly/layout.ts`. */
export function typeCode(type: FieldType): number {
  return TYPES.get(type)!.code;
}

/** Whether values are stored with the most significant byte first. */
export function isBigEndian(type: FieldType): boolean {
  return sizeOf(type) > 1 && typeCode(type) % 2 === 1;
}

/** Whether values are whole numbers. */
export function isInteger(type: FieldType): boolean {
  return typeCode(type) < layout.TYPE_F32_LE;
}

/** Whether values can be below zero. */
export function isSigned(type: FieldType): boolean {
  return !/^u/i.test(type);
}
