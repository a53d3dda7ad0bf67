import { fileURLToPath } from "node:url";
import { projectFile } from "../data.ts";

/** Whether these tests run in Deno. */
export const isDeno: boolean = "Deno" in globalThis;

/** Another runtime than the one that runs the tests. It runs the sources. */
export interface Runtime {
  readonly options: { readonly execPath: string; readonly execArgv: string[] };
  fixturePath(name: string): string;
}

type Program = "node22" | "node24" | "node26" | "deno";

/** A runtime; throws an Error that says how to install it where it is missing. */
export async function otherRuntime(name: Program): Promise<Runtime> {
  const { href } = projectFile("test/tools/programs.js");
  const { program } = (await import(href)) as { program(name: Program): string };
  const config = fileURLToPath(projectFile("deno.json"));
  const execArgv = name === "deno" ? ["run", "-A", "--no-check", `--config=${config}`] : [];
  return {
    options: { execPath: program(name), execArgv },
    fixturePath: (fixture) => fileURLToPath(projectFile(`test/fixtures/${fixture}.ts`)),
  };
}
