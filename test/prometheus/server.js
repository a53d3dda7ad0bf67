// A worker that answers requests on a port. With "self" it measures itself, else it is made to.

import { createServer } from "node:http";

const [port, mode] = process.argv.slice(2);
if (mode === "self") await import("../../dist/host/auto.js");

createServer((_, response) => response.end("ok\n")).listen(Number(port), "127.0.0.1");
