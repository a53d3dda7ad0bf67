// Where this file is, or what a bundler has made of it.

import { pathToFileURL } from "node:url";

/** A URL. A bundle of CommonJS has no `import.meta.url`, but the name of its file. */
export const LOCATION: string = import.meta.url ?? pathToFileURL(__filename).href;
