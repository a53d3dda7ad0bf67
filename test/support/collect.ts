import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let run: (() => void) | undefined;

/** Collects garbage, where V8 lets itself be asked at run time. */
export function collect(): void {
  if (run === undefined) {
    setFlagsFromString("--expose-gc");
    run = runInNewContext("typeof gc === 'function' ? gc : () => {}") as () => void;
  }
  run();
}
