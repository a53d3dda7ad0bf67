// With Debian's Go and its package of wazero's sources.

import { existsSync, readdirSync } from "node:fs";
import { cases, core, output, vectors, withCopy } from "../support.js";

const pack = "golang-github-tetratelabs-wazero-dev";
const sources = "/usr/share/gocode/src/github.com/tetratelabs/wazero";

/** Debian keeps every Go in a folder of its own; the newest one is taken. */
function findGo() {
  return readdirSync("/usr/lib")
    .filter((name) => name.startsWith("go-1."))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
    .map((name) => `/usr/lib/${name}/bin/go`)
    .filter((path) => existsSync(path))
    .at(-1);
}

export const wazero = {
  name: "wazero",
  version: () => output("dpkg-query", ["--show", pack]).trim().split("\t")[1],
  missing() {
    if (!existsSync(sources)) return `${sources} is missing: apt-get install ${pack}`;
    return findGo() === undefined ? "Go is not installed: apt-get install golang-go" : null;
  },
  run() {
    const build = [findGo(), "build", "-o", "wazero", "./examples/hosts/wazero"];
    return withCopy("wazero", [], (copy) => {
      output("env", ["GO111MODULE=off", "GOPATH=/usr/share/gocode", ...build], copy);
      return cases("./wazero", [core, ...vectors], copy);
    });
  },
};
