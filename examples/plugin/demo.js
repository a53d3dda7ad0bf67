// The gateway and its workers, to be tried by hand:
//
//     node examples/plugin/demo.js [extism | workerd]
//
// Requests to /slow are held until Enter is pressed. Ends with its standard input (Ctrl-D).

import { once } from "node:events";
import { createInterface } from "node:readline";
import "./build.js";

const OPENERS = { extism: "openExtism", workerd: "openWorkerd" };
const [host = "extism"] = process.argv.slice(2);
if (!Object.hasOwn(OPENERS, host)) {
  console.error(`Cannot run the plug-in in "${host}": must be extism or workerd`);
  process.exit(2);
}
const { [OPENERS[host]]: open } = await import("./deciders.js");
const { createGateway, Watch } = await import("./gateway.js");
const { startWorkers, WORKERS } = await import("./workers.js");

const CAPACITY = 4;

const ends = [];
const atEnd = (end) => ends.push(end);
try {
  const { ports, monitor, release } = await startWorkers(atEnd);
  const { decide, close } = await open();
  atEnd(close);
  const watch = new Watch(monitor, {
    service: "web",
    field: "requests_active",
    capacity: CAPACITY,
  });
  atEnd(() => watch.close());
  const gateway = createGateway({ watch, decide, ports });
  gateway.listen(0, "127.0.0.1");
  await once(gateway, "listening");
  atEnd(() => gateway.close());
  atEnd(release);
  const { port } = gateway.address();
  console.log(`http://127.0.0.1:${port}/ (${WORKERS} workers, ${CAPACITY} requests each)`);
  for await (const _ of createInterface({ input: process.stdin })) release();
} finally {
  for (const end of ends.reverse()) await end();
}
