import assert from "node:assert/strict";
import type { Exit } from "../fixtures/cli_process.ts";

interface Finding {
  readonly group: string;
  readonly check: string;
  readonly level: "ok" | "warning" | "error";
  readonly message: string;
  readonly fix?: string;
}

/** What the doctor has said. */
export class Report {
  readonly exit: Exit;
  readonly findings: readonly Finding[];

  constructor(exit: Exit) {
    this.exit = exit;
    assert.equal(exit.stderr, "");
    const { errors, warnings, findings } = JSON.parse(exit.stdout);
    this.findings = findings;
    const count = (level: string) => this.findings.filter((found) => found.level === level).length;
    assert.deepEqual([errors, warnings], [count("error"), count("warning")]);
    assert.equal(exit.code, errors === 0 ? 0 : 1);
    assert.doesNotMatch(exit.stdout, /Cannot be checked/);
  }

  /** Has this line, and a remedy if anything is wrong. */
  says(level: Finding["level"], check: string, message: RegExp, fix?: RegExp): void {
    const lines = this.findings.filter((found) => found.check === check);
    const found = lines.find((line) => line.level === level && message.test(line.message));
    assert.ok(found, `${level} ${check} ${message}: ${JSON.stringify(lines)}`);
    if (fix !== undefined) assert.match(found.fix ?? "", fix);
  }

  /** Has no line of this check. */
  isSilentAbout(check: string): void {
    assert.deepEqual(
      this.findings.filter((found) => found.check === check),
      [],
    );
  }

  /** The checks that found an error. */
  get errors(): string[] {
    return this.findings.filter(({ level }) => level === "error").map(({ check }) => check);
  }
}
