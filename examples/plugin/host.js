// The plug-in in both of its hosts.

import { extism } from "../hosts/extism/host.js";
import { workerd } from "../hosts/workerd/host.js";

export const pluginInWorkerd = entry("plug-in in workerd", workerd, "openWorkerd");
export const pluginInExtism = entry("plug-in in Extism", extism, "openExtism");

function entry(name, { missing, version }, open) {
  return {
    name,
    missing,
    version,
    async run() {
      await import("./build.js");
      const deciders = await import("./deciders.js");
      const { check } = await import("./check.js");
      return { ...(await check(deciders[open])), checks: "decisions" };
    },
  };
}
