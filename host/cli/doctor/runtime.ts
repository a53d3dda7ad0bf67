// What runs here, and what its environment says.

import { hasVectors, loadCore } from "../../core.ts";
import { isAllowed } from "../../libc.ts";
import { VERSION } from "../../version.ts";
import type { Findings } from "./findings.ts";

/** The oldest Node.js that the package runs on. */
const OLDEST_NODE: readonly [number, number] = [20, 19];

const VARIABLES: readonly string[] = [
  "UTILIZATION_DIR",
  "UTILIZATION_MAPPING",
  "UTILIZATION_NAME",
  "UTILIZATION_SUPERVISOR",
  "UTILIZATION_WORKER",
];

export async function checkRuntime(findings: Findings): Promise<void> {
  await findings.look("version", () => checkVersion(findings));
  await findings.look("core", () => checkCore(findings));
  await findings.look("environment", () => checkEnvironment(findings));
}

function checkVersion(findings: Findings): void {
  const { deno, node, v8 } = process.versions as NodeJS.ProcessVersions & { deno?: string };
  const runtime = deno === undefined ? `Node.js ${node}` : `Deno ${deno}`;
  const place = `${process.platform} ${process.arch}`;
  const message = `utilization-monitor ${VERSION}, ${runtime}, V8 ${v8}, ${place}`;
  const [major = 0, minor = 0] = node.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  const isOld = major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
  if (deno === undefined && isOld) {
    findings.error("version", message, `Node.js ${OLDEST_NODE.join(".")} or newer`);
  } else if (process.platform === "win32") {
    findings.error("version", message, "Linux or macOS: on Windows nobody can supervise");
  } else {
    findings.ok("version", message);
  }
}

function checkCore(findings: Findings): void {
  try {
    loadCore();
  } catch (error) {
    const isMissing = !("WebAssembly" in globalThis);
    const reason = isMissing ? "this runtime has no WebAssembly" : (error as Error).message;
    findings.error("core", `Cannot load it: ${reason}`, "run without --jitless");
    return;
  }
  findings.ok("core", hasVectors() ? "WebAssembly with SIMD" : "WebAssembly without SIMD");
}

function checkEnvironment(findings: Findings): void {
  const set = variables().filter((name) => process.env[name]);
  for (const name of set) {
    if (VARIABLES.includes(name)) continue;
    findings.warning("environment", `${name} is not known`, `one of ${VARIABLES.join(", ")}`);
  }
  const socket = set.includes("UTILIZATION_SUPERVISOR") ? process.env.UTILIZATION_SUPERVISOR! : "/";
  if (!socket.startsWith("/")) {
    const message = `UTILIZATION_SUPERVISOR "${socket}" depends on the working folder of each worker`;
    findings.warning("environment", message, "an absolute path");
  }
  const known = set.filter((name) => VARIABLES.includes(name));
  const list = known.map((name) => `${name}=${process.env[name]}`).join(", ");
  findings.ok("environment", list || "no variable of ours is set");
}

/** On Deno those alone that it lets us see: it would stop and ask for others. */
function variables(): string[] {
  if ("Deno" in globalThis) {
    return VARIABLES.filter((variable) => isAllowed({ name: "env", variable }));
  }
  return Object.keys(process.env).filter((name) => name.startsWith("UTILIZATION_"));
}
