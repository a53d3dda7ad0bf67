// Serves the page, and what it loads, to this machine:
//
//     node examples/hosts/chromium/serve.js
//
// Any server of static files does as well, if it sends core.wasm as application/wasm.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

const root = new URL("../../../", import.meta.url);

export const PAGE = "examples/hosts/chromium/index.html";

/** From the project folder. Nothing else is served. */
const FILES = new Set([
  PAGE,
  "examples/hosts/chromium/page.css",
  "examples/hosts/chromium/page.js",
  "examples/hosts/chromium/sums.js",
  "examples/hosts/vectors.js",
  "build/layout.js",
  "build/field_type.js",
  "build/core.wasm",
]);

const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

/** Starts the server on a free port of this machine; resolves to it and the page's URL. */
export async function serve() {
  const server = createServer(({ url }, response) => {
    const path = new URL(url, "http://localhost").pathname.slice(1);
    if (!FILES.has(path)) return response.writeHead(404).end();
    const headers = { "content-type": TYPES[extname(path)], "x-content-type-options": "nosniff" };
    response.writeHead(200, headers).end(readFileSync(new URL(path, root)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${server.address().port}/${PAGE}` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log((await serve()).url);
