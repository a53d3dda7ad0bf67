import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { program } from "../../../test/tools/programs.js";

/**
 * Runs workerd by a configuration whose socket is on port 0.
 *
 * @param {string} config its path.
 * @returns {Promise<{url: string, stop: () => Promise<void>}>}
 */
export async function serveWorker(config) {
  const child = spawn(program("workerd"), ["serve", config, "--control-fd", "3"], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    complaints += text;
  });
  const stop = async () => {
    child.kill();
    await ended;
  };
  // It reports the port once it listens, and ends when it cannot.
  for await (const line of createInterface({ input: child.stdio[3] })) {
    const { event, port } = JSON.parse(line);
    if (event === "listen") return { url: `http://127.0.0.1:${port}/`, stop };
  }
  await stop();
  throw new Error(`workerd ended before it listened: ${complaints.trim()}`);
}
