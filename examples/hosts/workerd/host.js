import { readFileSync } from "node:fs";
import { toolHost, vectors } from "../support.js";
import { serveWorker } from "./serve.js";

const root = new URL("../../../", import.meta.url);

export const workerd = {
  ...toolHost("workerd", "workerd"),
  async run() {
    const { url, stop } = await serveWorker(new URL("config.capnp", import.meta.url));
    try {
      const body = vectors.map((path) => readFileSync(new URL(path, root), "utf8")).join("\n");
      const response = await fetch(url, { method: "POST", body });
      if (!response.ok) throw new Error(`The worker answered ${response.status}`);
      const { passed, total, failures } = await response.json();
      if (failures.length > 0) throw new Error(failures.join("\n"));
      return { passed, total };
    } finally {
      await stop();
    }
  },
};
