// One worker behind the gateway. It answers at once, but holds requests to /slow until its parent
// next says so.

import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import { connect } from "../../dist/host/index.js";

const { requests_active } = connect({
  name: "web",
  schema: { requests_total: "u64", requests_active: "u32" },
}).metrics;

const parent = new EventEmitter().setMaxListeners(0);

const server = createServer((request, response) => {
  void requests_active.track(async () => {
    if (request.url === "/slow") await once(parent, "release");
    response.end("done\n");
  });
});
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.on("message", () => parent.emit("release"));
process.on("disconnect", () => process.exit());
