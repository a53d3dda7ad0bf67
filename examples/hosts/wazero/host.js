// With Debian's Go and its package of wazero's sources.

import { existsSync, readdirSync } from "node:fs";
import { cases, core, output, vectors } from "../support.js";

const folder = "examples/hosts/wazero";
const built = "build/hosts/wazero";
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
  version: () => output("dpkg-query", "--show", pack).trim().split("\t")[1],
  missing() {
    if (!existsSync(sources)) return `${sources} is missing: apt-get install ${pack}`;
    return findGo() === undefined ? "Go is not installed: apt-get install golang-go" : null;
  },
  run() {
    const env = ["GO111MODULE=off", "GOPATH=/usr/share/gocode"];
    output("env", ...env, findGo(), "build", "-o", built, `./${folder}`);
    return cases(built, core, ...vectors);
  },
};
