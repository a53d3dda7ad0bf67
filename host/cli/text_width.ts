// How many cells of a terminal a text takes.

const ASCII = /^[\x20-\x7e]*$/;
/** East Asian wide and full-width characters, and pictures. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** Is drawn over what is before it, or not at all. */
const NOTHING = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** The cells that a text takes. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += cellsOf(character);
  return width;
}

/** As much of the beginning of a text as fits. */
export function cut(text: string, width: number): string {
  if (ASCII.test(text)) return text.slice(0, Math.max(0, width));
  let left = width;
  let end = 0;
  for (const character of text) {
    left -= cellsOf(character);
    if (left < 0) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/** A text that fits: where something had to go, a mark says so. */
export function shorten(text: string, width: number, mark = "…"): string {
  return widthOf(text) <= width ? text : cut(text, width - widthOf(mark)) + cut(mark, width);
}

/** The same, for a text whose end says more than its beginning, such as a path. */
export function shortenStart(text: string, width: number, mark = "…"): string {
  if (widthOf(text) <= width) return text;
  const characters = [...text];
  let left = width - widthOf(mark);
  let start = characters.length;
  while (start > 0 && cellsOf(characters[start - 1]!) <= left)
    left -= cellsOf(characters[--start]!);
  return cut(mark, width) + characters.slice(start).join("");
}

function cellsOf(character: string): number {
  if (character.codePointAt(0)! < 0x300) return 1;
  if (NOTHING.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
