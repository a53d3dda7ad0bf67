import { cases, missingCommand, output, withCopy } from "../support.js";

export const c = {
  name: "wasm2c",
  version: () => output("wasm2c", ["--version"]).trim(),
  missing: () =>
    missingCommand("wasm2c", "wabt") ??
    missingCommand("make", "make") ??
    missingCommand("cc", "gcc"),
  run: () =>
    withCopy("c", [], (copy) =>
      cases("make", ["--silent", "-C", "examples/hosts/c", "check"], copy),
    ),
};
