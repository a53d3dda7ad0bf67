// What the doctor has found, line by line.

export type Level = "ok" | "warning" | "error";

export interface Finding {
  /** What it is about: the heading that it stands below. */
  readonly group: string;
  readonly check: string;
  /** An error stops a supervisor or a worker, or loses what was counted; a warning does not. */
  readonly level: Level;
  readonly message: string;
  /** A command or a setting that helps. */
  readonly fix?: string | undefined;
}

/** Collects findings. */
export class Findings {
  readonly list: Finding[] = [];
  #group = "";

  /** Begins the group that what follows belongs to. */
  begin(group: string): void {
    this.#group = group;
  }

  ok(check: string, message: string): void {
    this.#add("ok", check, message);
  }

  warning(check: string, message: string, fix?: string): void {
    this.#add("warning", check, message, fix);
  }

  error(check: string, message: string, fix?: string): void {
    this.#add("error", check, message, fix);
  }

  count(level: Level): number {
    return this.list.filter((finding) => finding.level === level).length;
  }

  /** Looks at one thing. What cannot be looked at keeps nobody from looking at the next. */
  async look(check: string, action: () => Promise<void> | void): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.warning(check, `Cannot be checked: ${(error as Error).message}`);
    }
  }

  #add(level: Level, check: string, message: string, fix?: string): void {
    this.list.push({ group: this.#group, check, level, message, fix });
  }
}

/** A size for people: 512 bytes, 32 KiB, 1.5 GiB. */
export function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Permission bits as `chmod` takes them. */
export function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

/** A path as a word of a shell. */
export function word(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
