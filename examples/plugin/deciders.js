// The two hosts of the plug-in, as a gateway sees them: bytes in, a number out.
//
// A decider is `{ decide(message), close() }`. `decide` resolves to the part of the requests to
// turn away, and rejects when the plug-in refuses the message.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { serveWorker } from "../hosts/workerd/serve.js";

const sdk = new URL(
  "../../test/tools/node_modules/@extism/extism/dist/esm/mod.js",
  import.meta.url,
);

/** workerd, by HTTP. */
export async function openWorkerd() {
  const { url, stop } = await serveWorker(fileURLToPath(new URL("config.capnp", import.meta.url)));
  return {
    async decide(message) {
      const response = await fetch(url, { method: "POST", body: message });
      if (!response.ok) throw new Error(await response.text());
      return await response.json();
    },
    close: stop,
  };
}

/** Extism, in this process. */
export async function openExtism() {
  const { createPlugin } = await import(sdk);
  const data = readFileSync(new URL("build/plugin.wasm", import.meta.url));
  const plugin = await createPlugin({ wasm: [{ data }] });
  let last = Promise.resolve();

  async function decide(message) {
    try {
      const output = await plugin.call("decide", message);
      return output.getFloat64(0, true);
    } finally {
      // Gives back input and output, which it would keep; the instance stays as it is.
      await plugin.reset();
    }
  }

  return {
    /** One after the other: a reset must not hit another call. */
    decide(message) {
      const decision = last.then(() => decide(message));
      last = decision.catch(() => {});
      return decision;
    },
    close: () => plugin.close(),
  };
}
