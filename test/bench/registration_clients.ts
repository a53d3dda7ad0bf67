// node registration_clients.js SOCKET: registers as many workers as it is told to, over the real
// protocol, a connection each. Unlike real ones they write nothing; the process maps the file once,
// so that the supervisor finds what it looks for in /proc.

import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { Connection } from "../../host/bus/connection.ts";
import { plain, symbol } from "../../host/bus/values.ts";
import { startTimeOf } from "../../host/holder.ts";
import { openFile } from "../../host/mapping/index.ts";

const socketPath = process.argv[2]!;
const AT_ONCE = 32;
const startTime = startTimeOf(process.pid);
const rows = Array.from({ length: 8 }, (_, i) => [symbol(`field_${i}`), symbol("u64"), i * 8]);
const log = { debug() {}, info() {}, warn: console.error, error: console.error };
let mapping: Uint8Array | null = null;
const connections = new Set<Connection>();

async function register(): Promise<void> {
  const socket = connect(socketPath);
  const connection = new Connection({ socket, accepting: false, log });
  connections.add(connection);
  const worker = connection.bind("worker", {
    setup_utilization_observer: ([path]) => {
      if (mapping === null) {
        const file = openFile(String(plain(path)), { write: true });
        mapping = file.map(0, file.size());
        file.close();
      }
      return rows;
    },
  });
  const state = new Map([
    [symbol("name"), "web"],
    [symbol("incarnation"), randomBytes(16).toString("hex")],
    [symbol("start_time"), startTime],
    [symbol("mapping"), "mmap-io"],
  ]);
  const options = { process_id: process.pid, state };
  await connection.invoke("supervisor", "register", [worker], { options });
}

process.on("message", async (count: number) => {
  let left = count;
  const next = async (): Promise<void> => {
    while (left-- > 0) await register();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  process.send!("registered");
});
process.on("disconnect", () => process.exit(0));
