import { debuglog } from "node:util";
import { type Logger, stderrLogger } from "../log.ts";

/**
 * Silent while all is well: whoever starts a process with this did not ask it to write anything.
 * What is wrong goes to standard error, and so does the next line, which says that it is over.
 * `NODE_DEBUG=utilization-monitor` shows all.
 */
export function quietLogger(log: Logger = stderrLogger): Logger {
  const debug = debuglog("utilization-monitor");
  let isWrong = false;
  return {
    debug: (message, ...details) => debug(message, ...details),
    info(message, ...details) {
      if (isWrong) log.info(message, ...details);
      else debug(message, ...details);
      isWrong = false;
    },
    warn(message, ...details) {
      isWrong = true;
      log.warn(message, ...details);
    },
    error(message, ...details) {
      isWrong = true;
      log.error(message, ...details);
    },
  };
}
