// Runs the data recorded from the real Ruby system through the public classes and the built core.
//
//     npm run golden [-- DIRECTORY]

import { fileURLToPath } from "node:url";
import { projectFile } from "./data.ts";
import { checkAggregate } from "./golden_checks/aggregate.ts";
import { checkAllocator } from "./golden_checks/allocator.ts";
import { checkDecode } from "./golden_checks/decode.ts";
import { checkEncode } from "./golden_checks/encode.ts";

const directory = process.argv[2] ?? fileURLToPath(projectFile("test/golden/"));
let passed = 0;
let failed = 0;
for (const [file, check] of [
  ["decode.json", checkDecode],
  ["encode.json", checkEncode],
  ["allocator.json", checkAllocator],
  ["aggregate.json", checkAggregate],
] as const) {
  const result = await check(directory);
  passed += result.passed;
  failed += result.failures.length;
  console.log(`${file}: ${result.passed} passed, ${result.failures.length} failed`);
  for (const [flavour, count] of Object.entries(result.deviations)) {
    console.log(`  ${flavour}: ${count} against our own rule`);
  }
  for (const failure of result.failures.slice(0, 20)) console.log(`  FAILED ${failure}`);
  if (result.failures.length > 20) console.log(`  and ${result.failures.length - 20} more`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
