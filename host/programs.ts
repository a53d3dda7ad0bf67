// The files of this package that other processes run or load. They are found by where this file is,
// and are compiled if it is.

import { extname } from "node:path";
import { LOCATION } from "./location.ts";

const extension = extname(new URL(LOCATION).pathname);
const file = (path: string): URL => new URL(path, LOCATION);

/** The programs of the command line. */
export const PROGRAMS: URL = file("./cli/");
export const DEMO_WORKER: URL = file(`./cli/demo_worker${extension}`);
export const DEMO_LOAD: URL = file(`./cli/demo_load${extension}`);

const preload = (path: string): URL => file(`${path}.c${extension.slice(1)}`);

/** Automatic instrumentation, for `--require`. */
export const AUTO_PRELOAD: URL = preload("./auto_preload");
/** What has workers of a cluster leave when they are told to, for `--require`. */
export const LEAVING_PRELOAD: URL = preload("./runner/leaving_preload");
