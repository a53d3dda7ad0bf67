// Text in a segment: what a worker says of itself, beside what it counts.

import { optionsProblem, type Problem, shown } from "./field.ts";

/** So many bytes of UTF-8, from `str1` to `str256`. */
export type TextType = `str${number}`;

/** A text of a segment. The core never learns of it: there is nothing to add up. */
export interface TextField<Name extends string = string> {
  readonly name: Name;
  readonly type: TextType;
  /** In bytes from the start of the segment. */
  readonly offset: number;
  readonly help?: string;
}

/** Texts by field name; a null-prototype object. */
export type Texts = Record<string, string>;

/** What may be said about a text besides its type. */
export interface TextOptions {
  /** What the text says, in a sentence. */
  readonly help?: string | undefined;
}

/** In bytes. */
export const LONGEST_TEXT = 256;

/** For messages that name all types. */
export const TEXT_TYPES: string = `str1 to str${LONGEST_TEXT}`;

/** What is said about numbers only. */
const NUMBER_OPTIONS = ["kind", "aggregate", "unit", "counter", "histogram", "le"] as const;

/** Whether this is the type of a text. */
export function isTextType(name: unknown): name is TextType {
  if (typeof name !== "string") return false;
  const [, digits] = /^str([1-9]\d{0,2})$/.exec(name) ?? [];
  return digits !== undefined && Number(digits) <= LONGEST_TEXT;
}

/** The size of a text in bytes. */
export function textSizeOf(type: TextType): number {
  return Number(type.slice("str".length));
}

/** What is wrong with the options of a text, or null. Those that nobody knows are ignored. */
export function textOptionsProblem(options: unknown): Problem | null {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    return { error: TypeError, reason: `the options are not an object: ${shown(options)}` };
  }
  const { help, ...others } = options as Readonly<Record<string, unknown>>;
  const senseless = NUMBER_OPTIONS.find((name) => others[name] !== undefined);
  if (senseless === undefined) return optionsProblem("", { help });
  const reason = `a text has no ${senseless}: ${shown(others[senseless])}`;
  return { error: TypeError, reason };
}

/** Makes a field of values that were found in order. */
export function makeTextField<Name extends string>(
  name: Name,
  type: TextType,
  offset: number,
  { help }: TextOptions,
): TextField<Name> {
  return { name, type, offset, ...(help !== undefined && { help }) };
}
