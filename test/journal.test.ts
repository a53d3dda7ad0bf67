import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Journal, journalPath } from "../host/journal.ts";
import { JournalError, readJournal } from "../host/journal_file.ts";
import { JOURNAL_FORMAT, type JournalHeader } from "../host/journal_header.ts";
import type { Change, JournalState } from "../host/journal_state.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";
import { until } from "./support/until.ts";

const HEADER: JournalHeader = {
  format: JOURNAL_FORMAT,
  boot: "b",
  namespace: null,
  supervisor: { pid: 1, start: "2" },
  file: { inode: "3", segmentSize: 512 },
};
const HOLDER = {
  at: 512,
  id: 1,
  pid: 7,
  start: "8",
  incarnation: "x",
  evidence: "mapping",
} as const;
const ROWS = [
  ["requests_total", "u64", 0],
  ["seconds_total", "f64", 8],
] as const;

function registered(key: number, at = 512, rows: readonly unknown[] = ROWS): Change[] {
  const { start, evidence } = HOLDER;
  return [
    { hold: key, ...HOLDER, at },
    { schema: 1, service: "web", rows: rows as never },
    { register: key, start, evidence, schema: 1, state: { name: "web" } },
  ];
}

function open(file: string, state?: JournalState, log = new CollectingLogger()): Journal {
  return new Journal(file, { header: HEADER, state, mode: 0o600, log });
}

/** A state as plain data. */
function dataOf({ held, kept, bases, schemas, nextKey }: JournalState): unknown {
  return {
    held: [...held],
    kept: [...kept],
    bases: [...bases].map(([service, fields]) => [service, [...fields]]),
    schemas: [...schemas],
    nextKey,
  };
}

describe("Journal", () => {
  it("writes what a reader finds, and stays with its mode", (t) => {
    const file = join(temporaryFolder(t), "a.shm");
    const journal = open(file);
    assert.equal(journal.nextKey(), 1);
    journal.append({ hold: 1, ...HOLDER });
    journal.append(...registered(1));
    journal.append({ hold: 2, ...HOLDER, at: 0 });
    journal.append({ detach: 1, start: "9", evidence: "process" });
    const read = readJournal(file)!;
    assert.deepEqual(read.header, HEADER);
    assert.deepEqual(dataOf(read.state), dataOf(journal.state));
    assert.deepEqual([...read.state.held.keys()], [1, 2]);
    assert.equal(read.state.held.get(1)!.detached, true);
    assert.equal(read.state.held.get(1)!.start, "9");
    assert.equal(read.state.held.get(2)!.schema, null);
    assert.equal(statSync(journalPath(file)).mode & 0o777, 0o600);
    journal.close({ remove: false });
    assert.ok(existsSync(journalPath(file)));
  });

  it("adds up what is retired, with all digits, and takes out what comes back", (t) => {
    const file = join(temporaryFolder(t), "a.shm");
    const journal = open(file);
    const most = String(2n ** 64n - 1n);
    for (const key of [1, 2, 3]) {
      journal.append(...registered(key));
      const counters = { requests_total: most, seconds_total: 0.25 };
      journal.append({ retire: key, counters, ...(key === 2 && { kept: true as const }) });
    }
    const base = (state: JournalState) => state.bases.get("web")!.get("requests_total")!.integer;
    assert.equal(base(readJournal(file)!.state), 3n * (2n ** 64n - 1n));
    assert.equal(journal.state.bases.get("web")!.get("seconds_total")!.float, 0.75);
    journal.append({ readmit: 2 });
    assert.equal(base(readJournal(file)!.state), 2n * (2n ** 64n - 1n));
    journal.append({ drop: "web", field: "seconds_total" });
    assert.deepEqual([...readJournal(file)!.state.bases.get("web")!.keys()], ["requests_total"]);
    journal.append({ drop: "web" });
    assert.equal(readJournal(file)!.state.bases.size, 0);
    assert.equal(journal.state.isEmpty, true);
    journal.close({ remove: true });
    assert.equal(readJournal(file), null);
  });

  it("says what workers have in common once, and forgets it when nobody has it", (t) => {
    const file = join(temporaryFolder(t), "a.shm");
    const journal = open(file);
    const [hold, , register] = registered(2, 1024);
    journal.append(...registered(1));
    journal.append(hold!, register!);
    assert.equal(readFileSync(journalPath(file), "utf8").match(/requests_total/g)!.length, 1);
    const { held } = readJournal(file)!.state;
    assert.equal(held.get(1)!.schema, held.get(2)!.schema);
    journal.append({ free: 1 }, { free: 2 });
    const next = open(file, readJournal(file)!.state);
    assert.equal(next.state.schemas.size, 0);
    assert.equal(next.nextSchema(), 2);
    assert.throws(() => next.append(hold!, register!), /schema 1 is not there/);
  });

  it("writes what happened at once as one line, which a torn end takes back as a whole", (t) => {
    const file = join(temporaryFolder(t), "a.shm");
    const journal = open(file);
    journal.append(...registered(1));
    const before = readFileSync(journalPath(file), "utf8");
    journal.together(() => {
      journal.append(...registered(2, 1024));
      journal.append({ free: 1 });
    });
    const whole = readFileSync(journalPath(file), "utf8");
    for (let length = before.length; length < whole.length; length++) {
      writeFileSync(journalPath(file), whole.slice(0, length));
      assert.deepEqual([...readJournal(file)!.state.held.keys()], [1]);
    }
    writeFileSync(journalPath(file), whole);
    assert.deepEqual([...readJournal(file)!.state.held.keys()], [2]);
  });

  it("goes on from a state, and is written anew when most of it is past", (t) => {
    const file = join(temporaryFolder(t), "a.shm");
    const first = open(file);
    first.append(...registered(1));
    first.append({ retire: 1, counters: { requests_total: "5" }, kept: true });
    first.append(...registered(2));
    first.append({ detach: 2, start: null, evidence: "none" });
    const second = open(file, readJournal(file)!.state);
    assert.deepEqual(dataOf(readJournal(file)!.state), dataOf(first.state));
    assert.equal(second.nextKey(), 3);
    let longest = 0;
    for (let key = 3; key < 20_000; key++) {
      second.append(...registered(key));
      second.append({ free: key });
      longest = Math.max(longest, statSync(journalPath(file)).size);
    }
    assert.ok(longest < 5000 * 400, `${longest} bytes`);
    const { state } = readJournal(file)!;
    assert.deepEqual([...state.held.keys()], [2]);
    assert.deepEqual([...state.kept.keys()], [1]);
    assert.equal(state.bases.get("web")!.get("requests_total")!.integer, 5n);
  });

  it("does not grow with long lines that are past", (t) => {
    const file = join(temporaryFolder(t), "a.shm");
    const journal = open(file);
    const rows = Array.from({ length: 4000 }, (_, index) => [`f${index}_total`, "u64", index * 8]);
    let longest = 0;
    for (let key = 1; key <= 200; key++) {
      journal.append(...registered(key, 512, rows));
      journal.append({ free: key });
      longest = Math.max(longest, statSync(journalPath(file)).size);
    }
    assert.ok(longest < 6 << 20, `${longest} bytes`);
    assert.equal(readJournal(file)!.state.isEmpty, true);
  });

  it("names what is in its place", (t) => {
    const file = join(temporaryFolder(t), "default.shm");
    mkdirSync(journalPath(file));
    assert.throws(() => open(file), {
      message: `Cannot write journal "${journalPath(file)}": a folder is in its place`,
    });
  });

  it("says once that it cannot be written, leaves none that lacks a line, and recovers", async (t) => {
    const folder = join(temporaryFolder(t), "inner");
    mkdirSync(folder);
    const file = join(folder, "a.shm");
    const log = new CollectingLogger();
    const journal = open(file, undefined, log);
    journal.append(...registered(1));
    // As on a full disk: its descriptor is of no use, and another file cannot be made.
    journal.close({ remove: true });
    mkdirSync(`${journalPath(file)}.new/full`, { recursive: true });
    journal.append(...registered(2, 1024));
    journal.append(...registered(3, 1536));
    assert.equal(log.lines.length, 1, log.lines.join());
    assert.match(log.lines[0]!, /Cannot write ".*a.shm.journal": .*starts anew/);
    assert.equal(existsSync(journalPath(file)), false);
    // There is room again.
    rmSync(`${journalPath(file)}.new`, { recursive: true });
    journal.append({ free: 1 });
    await until(() => readJournal(file) !== null, "it is written, by itself");
    assert.deepEqual([...readJournal(file)!.state.held.keys()], [2, 3]);
    assert.equal(log.lines.length, 2);
    journal.close({ remove: false });
  });
});

describe("readJournal()", () => {
  const refuses = (t: { after(action: () => void): void }, text: string, reason: RegExp) => {
    const file = join(temporaryFolder(t), "a.shm");
    writeFileSync(journalPath(file), text);
    assert.throws(
      () => readJournal(file),
      (error) => error instanceof JournalError && reason.test(error.message),
    );
  };

  it("is null where there is none", (t) => {
    assert.equal(readJournal(join(temporaryFolder(t), "a.shm")), null);
  });

  it("refuses another format, a torn head, and lines that do not follow", (t) => {
    refuses(t, "", /its first line is torn or missing/);
    refuses(t, '{"format":2', /its first line is torn or missing/);
    refuses(t, "null\n", /its format is undefined, known is 2/);
    refuses(t, `${JSON.stringify({ ...HEADER, format: 3 })}\n`, /its format is 3, known is 2/);
    refuses(t, '{"format":2}\n', /its first line names no file/);
    const head = `${JSON.stringify(HEADER)}\n`;
    refuses(t, `${head}[{"free":4}]\n`, /line 2: registration 4 holds nothing/);
    refuses(t, `${head}nonsense\n`, /line 2: /);
    refuses(t, `${head}[]\n5\n`, /line 3: /);
  });

  it("follows no link, and opens only what is a file", (t) => {
    const folder = temporaryFolder(t);
    const file = join(folder, "a.shm");
    writeFileSync(join(folder, "other"), `${JSON.stringify(HEADER)}\n`);
    symlinkSync("other", journalPath(file));
    assert.throws(() => readJournal(file), /Cannot read journal ".*": ELOOP/);
    mkdirSync(journalPath(join(folder, "b")));
    assert.throws(() => readJournal(join(folder, "b")), /it is not a file/);
  });

  it("leaves out what follows the last whole line", (t) => {
    const file = join(temporaryFolder(t), "a.shm");
    open(file).append(...registered(1));
    appendFileSync(journalPath(file), '[{"free":1}');
    assert.equal(readJournal(file)!.state.held.size, 1);
    appendFileSync(journalPath(file), "]\n");
    assert.equal(readJournal(file)!.state.held.size, 0);
  });
});
