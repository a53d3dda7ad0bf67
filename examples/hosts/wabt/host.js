// wabt's interpreter calls exports without arguments, so it can run the self-test:
//
//     wasm-interp build/core.wasm --run-all-exports
//
// The others that it runs in the same instance leave it fresh.

import { core, missingCommand, output } from "../support.js";

export const wabt = {
  name: "wasm-interp",
  version: () => output("wasm-interp", ["--version"]).trim(),
  missing: () => missingCommand("wasm-interp", "wabt"),
  run() {
    const answer = /^selftest\(\) => (.*)$/m.exec(
      output("wasm-interp", [core, "--run-all-exports"]),
    );
    return { passed: answer?.[1] === "i32:0" ? 1 : 0, total: 1, checks: "selftest" };
  },
};
