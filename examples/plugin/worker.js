// The plug-in in workerd: core.wasm as it is sums, the rule decides. Takes a message (message.ts)
// by POST, answers with the part of the requests to turn away.

import module from "../../build/core.wasm";
import { FIELD_TYPES } from "../../build/field_type.js";
import { Sums } from "../hosts/chromium/sums.js";
import * as message from "./build/message.js";
import { shedFraction } from "./build/rule.js";

export default {
  async fetch(request) {
    try {
      return Response.json(decide(await request.arrayBuffer()));
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      return new Response(error.message, { status: 400 });
    }
  },
};

/** The last one made: an instance of the core serves one file, and most messages are alike. */
let known = { key: "", sums: null };

function decide(buffer) {
  if (buffer.byteLength < message.SEGMENTS) throw new RangeError("The message is too short");
  const view = new DataView(buffer);
  const workers = view.getInt32(message.WORKERS, true);
  const segmentSize = view.getInt32(message.SEGMENT_SIZE, true);
  if (!(segmentSize > 0) || segmentSize % 8 !== 0) {
    throw new RangeError("The segment size is not a multiple of 8");
  }
  if (workers < 0 || workers * segmentSize !== buffer.byteLength - message.SEGMENTS) {
    throw new RangeError("The message has not the length of its segments");
  }
  const type = FIELD_TYPES[view.getInt32(message.TYPE, true)];
  const fields = [["active", type, view.getInt32(message.OFFSET, true)]];
  const active = workers === 0 ? 0 : sum(buffer, { segmentSize, workers, fields });
  const capacity = view.getFloat64(message.CAPACITY, true);
  return shedFraction(active, workers, capacity, view.getFloat64(message.AGE_MS, true));
}

function sum(buffer, { segmentSize, workers, fields }) {
  const key = JSON.stringify([segmentSize, workers, fields]);
  if (known.key !== key) {
    const segments = Array.from({ length: workers }, (_, index) => {
      return { service: "watched", offset: index * segmentSize, fields };
    });
    const { exports } = new WebAssembly.Instance(module, {});
    known = { key, sums: new Sums(exports, { segmentSize, segments }) };
  }
  const services = known.sums.read(new Uint8Array(buffer, message.SEGMENTS));
  return Number(services.get("watched").get("active"));
}
