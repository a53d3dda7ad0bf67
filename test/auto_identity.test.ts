import assert from "node:assert/strict";
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { kindOf, mainScript, ownEnvironment, serviceName } from "../host/auto/identity.ts";
import { ownFolder } from "./support/folder.ts";

describe("kindOf()", () => {
  const kinds = {
    "/srv/app/server.js": "service",
    "/srv/app/npm.server.js": "service",
    "/srv/node_modules_of_mine/server.js": "service",
    "/usr/lib/node_modules/npm/bin/npm-cli.js": "tool",
    "/srv/app/node_modules/tsx/dist/cli.mjs": "tool",
    "/srv/app/.yarn/releases/yarn-4.5.0.cjs": "tool",
    "/root/.cache/node/corepack/v1/pnpm/9.1.0/bin/pnpm.cjs": "tool",
  };
  for (const [script, kind] of Object.entries(kinds)) {
    it(`${script} is a ${kind}`, () => assert.equal(kindOf(script), kind));
  }

  it("a process without a script is a tool, our own programs are none", () => {
    assert.equal(kindOf(null), "tool");
    const own = fileURLToPath(new URL("../host/cli/main.js", import.meta.url));
    assert.equal(kindOf(own), "none");
  });
});

describe("mainScript()", () => {
  const folder = realpathSync(ownFolder());
  const script = join(folder, "node_modules/tool/cli.js");
  mkdirSync(dirname(script), { recursive: true });
  writeFileSync(script, "");
  symlinkSync(script, join(folder, "link"));

  it("follows a link of node_modules/.bin, and keeps what is not there", () => {
    assert.equal(mainScript(join(folder, "link"), {}), script);
    assert.equal(mainScript("/nowhere/server", {}), "/nowhere/server");
    assert.equal(mainScript(undefined, { pm_exec_path: script }), null);
    for (const option of ["-e", "-p", "-pe", "--eval=1", "--print"]) {
      assert.equal(mainScript("build", {}, ["--no-warnings", option, "1"]), null, option);
    }
    assert.equal(mainScript("-", {}), null);
  });

  it("is what PM2 starts, not what PM2 starts it by", () => {
    const environment = { pm_exec_path: script };
    const container = "/usr/lib/node_modules/pm2/lib/ProcessContainerFork.js";
    assert.equal(mainScript(container, environment), script);
    // A child of the application inherits the environment.
    assert.equal(mainScript("/srv/app/job.js", environment), "/srv/app/job.js");
  });
});

describe("serviceName()", () => {
  const folder = realpathSync(ownFolder());
  const inner = join(folder, "app/dist/deep");
  mkdirSync(inner, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"name": "@acme/shop"}');
  writeFileSync(join(folder, "app/package.json"), "{ not JSON");
  writeFileSync(join(folder, "app/dist/package.json"), '{"type": "module"}');
  const script = join(inner, "server.mjs");

  it("is that of the nearest package.json that has one", () => {
    assert.equal(serviceName(script, {}), "@acme/shop");
  });

  it("is PM2's name for the application", () => {
    assert.equal(serviceName(script, { name: "something" }), "@acme/shop");
    assert.equal(serviceName(script, { pm_id: "0", name: "shop-eu" }), "shop-eu");
    const environment = ownEnvironment({ pm2_env: '{"pm_id":0,"name":"shop-us"}', name: "no" });
    assert.equal(serviceName(script, environment), "shop-us");
    assert.deepEqual(ownEnvironment({ pm2_env: "{", name: "x" }), { pm2_env: "{", name: "x" });
  });

  it("is UTILIZATION_NAME before all", () => {
    assert.equal(serviceName(script, { UTILIZATION_NAME: "web", pm_id: "0", name: "b" }), "web");
    assert.equal(serviceName(null, { UTILIZATION_NAME: "web" }), "web");
  });

  it("is that of the file where there is no package.json", () => {
    assert.equal(serviceName("/proc/server.js", {}), "server");
    assert.equal(serviceName(null, {}), "node");
  });
});
