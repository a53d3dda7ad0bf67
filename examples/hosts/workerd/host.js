import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runner, tool, vectors, withCopy } from "../support.js";
import { serveWorker } from "./serve.js";

export const workerd = {
  ...tool("workerd"),
  run: () =>
    withCopy("workerd", [runner], async (copy) => {
      const { url, stop } = await serveWorker(join(copy, "examples/hosts/workerd/config.capnp"));
      try {
        const body = vectors.map((path) => readFileSync(join(copy, path), "utf8")).join("\n");
        const response = await fetch(url, { method: "POST", body });
        if (!response.ok) throw new Error(`The worker answered ${response.status}`);
        const { passed, total, failures } = await response.json();
        if (failures.length > 0) throw new Error(failures.join("\n"));
        return { passed, total };
      } finally {
        await stop();
      }
    }),
};
