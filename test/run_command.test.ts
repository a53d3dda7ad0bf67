import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { Backoff } from "../host/runner/backoff.ts";
import { CommandError, findCommand, serviceNameOf, withRequire } from "../host/runner/command.ts";
import { temporaryFolder } from "./support/folder.ts";
import { isDeno } from "./support/runtime.ts";

function file(folder: string, name: string, text: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe("findCommand()", () => {
  it("looks where a shell would look", (t) => {
    const folder = temporaryFolder(t);
    const [first, second] = ["first", "second"].map((name) => join(folder, name));
    mkdirSync(first!);
    mkdirSync(join(first!, "folder"));
    mkdirSync(second!);
    file(first!, "tool", "", 0o644);
    const tool = file(second!, "tool", "");
    const environment = { PATH: `${first}:${second}` };
    assert.equal(findCommand("tool", [], environment).path, tool);
    assert.equal(findCommand(tool, [], {}).path, tool);
    const failures = [
      ["missing", 127, /"missing": no such command$/],
      ["folder", 127, /no such command/],
      [join(first!, "tool"), 126, /first\/tool": not executable$/],
      ["./tool", 127, /no such command/],
    ] as const;
    for (const [name, code, message] of failures) {
      assert.throws(
        () => findCommand(name, [], environment),
        (error) =>
          error instanceof CommandError && error.exitCode === code && message.test(error.message),
        name,
      );
    }
  });

  it("says how a script without a shebang may be run", (t) => {
    const path = file(temporaryFolder(t), "server.mjs", "", 0o644);
    assert.throws(() => findCommand(path, []), /not executable, "node [^"]*server\.mjs" may be$/);
  });

  it("knows what Node.js runs, and what of it is a script", (t) => {
    const folder = temporaryFolder(t);
    const { PATH } = process.env;
    const of = (path: string, ...args: string[]) => {
      const { isNode, script } = findCommand(path, args, { PATH: `${folder}:${PATH}` });
      return { isNode, script };
    };
    const env = file(folder, "a.mjs", "#!/usr/bin/env node\n");
    assert.deepEqual(of(env, "-x"), { isNode: true, script: [env, "-x"] });
    const flags = file(folder, "b.ts", "#!/usr/bin/env -S node --no-warnings\n");
    assert.equal(of(flags).isNode, true);
    assert.equal(of(file(folder, "c", "#!/usr/local/bin/node")).isNode, true);
    symlinkSync(env, join(folder, "linked"));
    assert.equal(of("linked").isNode, true);
    file(folder, "node", "");
    assert.deepEqual(of("node", "--flag", "a.js"), { isNode: true, script: ["--flag", "a.js"] });
    assert.equal(of("node").script, null);
    file(folder, "npm", "#!/usr/bin/env node\n");
    assert.deepEqual(of("npm", "start"), { isNode: true, script: null });
    const shim = '#!/bin/sh\nif [ -x "$basedir/node" ]; then\n  exec "$basedir/node" x "$@"\nfi\n';
    assert.deepEqual(of(file(folder, "shim", shim)), { isNode: true, script: null });
    for (const other of [
      "#!/bin/sh\nnode a.js\n",
      "#!/usr/bin/env ruby\n",
      "\u007fELF",
      "#!/x/nodeish\n",
    ]) {
      assert.deepEqual(of(file(folder, "other", other)), { isNode: false, script: null }, other);
    }
  });
});

describe("serviceNameOf()", () => {
  it("takes the package's name, else that of the script or command", (t) => {
    const folder = temporaryFolder(t);
    const app = join(folder, "app");
    mkdirSync(join(app, "bin"), { recursive: true });
    const script = file(join(app, "bin"), "server.js", "");
    const base = { path: "", script: null };
    const node = { ...base, file: "node", args: ["--flag", script, "x"], isNode: true };
    assert.equal(serviceNameOf(node, folder), "server");
    assert.equal(
      serviceNameOf({ ...base, file: "/x/web.rb", args: [], isNode: false }, app),
      "web",
    );
    file(app, "package.json", '{"name":"shop"}');
    assert.equal(serviceNameOf(node, folder), "shop");
    assert.equal(
      serviceNameOf({ ...base, file: "npm", args: ["start"], isNode: true }, app),
      "shop",
    );
    file(join(app, "bin"), "package.json", "{");
    assert.equal(serviceNameOf(node, folder), "shop");
    assert.equal(
      serviceNameOf({ ...base, file: "sh", args: [script], isNode: false }, app),
      "server",
    );
  });
});

describe("withRequire()", () => {
  it("adds a module to what is there, whatever its path", { skip: isDeno }, (t) => {
    const folder = join(temporaryFolder(t), 'a "strange" folder of 100%');
    mkdirSync(folder);
    const module = pathToFileURL(file(folder, "auto.cjs", "globalThis.wasLoaded = true"));
    const NODE_OPTIONS = withRequire('--title="two words" ', module);
    const output = execFileSync(
      process.execPath,
      ["-p", "JSON.stringify([wasLoaded, process.title])"],
      {
        encoding: "utf8",
        env: { ...process.env, NODE_OPTIONS },
      },
    );
    assert.deepEqual(JSON.parse(output), [true, "two words"]);
    assert.equal(withRequire(undefined, new URL("file:///a/b.cjs")), "--require /a/b.cjs");
  });
});

describe("Backoff", () => {
  it("doubles up to its longest, and begins again after a long life", () => {
    const backoff = new Backoff({ random: () => 1 });
    const delays = Array.from({ length: 11 }, () => backoff.next(29_999));
    const expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
    assert.deepEqual(delays, expected);
    assert.equal(backoff.next(30_000), 100);
    assert.equal(backoff.next(0), 200);
  });

  it("spreads workers that crash together", () => {
    const backoff = new Backoff({ firstMs: 100, random: () => 0 });
    assert.equal(backoff.next(0), 50);
    assert.equal(backoff.next(0), 100);
  });
});
