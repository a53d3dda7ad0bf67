// Compiles mmap-io for the Node that runs this script.
//
// As published it asks for C++11 and so builds on no supported Node; CXXFLAGS comes later on the
// compiler's command line and wins. It is one of several ways to map a file, never a requirement:
// where it or a toolchain is missing this script does nothing, and it never fails a build.
import { spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "node_modules", "mmap-io");

if (existsSync(folder) && !loads()) {
  const nodeGyp = findNodeGyp();
  if (nodeGyp !== undefined && hasToolchain()) build(nodeGyp);
}

/** Whether it is built for this Node, asked of another process: a wrong binary can crash. */
function loads() {
  return runs(process.execPath, ["-e", 'require("mmap-io")']);
}

function hasToolchain() {
  return (
    runs(process.env.CXX ?? "c++", ["--version"]) &&
    runs(process.env.MAKE ?? "make", ["--version"]) &&
    [process.env.PYTHON, "python3", "python"].some(
      (python) => python && runs(python, ["--version"]),
    )
  );
}

function runs(command, options) {
  return spawnSync(command, options, { cwd: root, stdio: "ignore" }).status === 0;
}

/** npm names its own copy to the scripts it runs; without npm around us, look beside its command. */
function findNodeGyp() {
  const beside = (npm) => resolve(npm, "../../node_modules/node-gyp/bin/node-gyp.js");
  const npms = (process.env.PATH ?? "")
    .split(delimiter)
    .map((path) => join(path, "npm"))
    .filter((path) => existsSync(path))
    .map((path) => beside(realpathSync(path)));
  return [process.env.npm_config_node_gyp, ...npms].find((path) => path && existsSync(path));
}

function build(nodeGyp) {
  const env = { ...process.env, CXXFLAGS: `${process.env.CXXFLAGS ?? ""} -std=c++20`.trim() };
  // npm's `nodedir` may point at the headers of another Node: that builds, and then does not load.
  const nodeFolder = resolve(process.execPath, "../..");
  if (existsSync(join(nodeFolder, "include/node/node.h"))) env.npm_config_nodedir = nodeFolder;

  const result = spawnSync(process.execPath, [nodeGyp, "rebuild"], { cwd: folder, env });
  if (result.status === 0 && loads()) {
    console.log(`Built mmap-io for Node ${process.versions.node}.`);
  } else {
    console.error(`Could not build mmap-io for Node ${process.versions.node}; it is optional.`);
  }
}
