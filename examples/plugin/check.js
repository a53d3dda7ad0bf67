// Checks a host of the plug-in: the decisions of a table, messages that it must refuse, and a
// gateway whose workers count in a real file.

import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { TYPE_F64_LE, TYPE_U32_LE } from "../../build/layout.js";
import * as message from "./build/message.js";
import { CASES, REFUSED } from "./cases.js";
import { encode } from "./encode.js";
import { createGateway, FRESH_MS, Watch } from "./gateway.js";
import { startWorkers, until, WORKERS } from "./workers.js";

const SEGMENT_SIZE = 64;
const FIELD_OFFSET = 24;
const TYPES = {
  u32: { code: TYPE_U32_LE, set: "setUint32" },
  f64: { code: TYPE_F64_LE, set: "setFloat64" },
};

/** How many requests a worker can be busy with. */
const CAPACITY = 4;

/**
 * @param {() => Promise<{decide: (message: Uint8Array) => Promise<number>, close: () => any}>} open
 * @returns {Promise<{passed: number, total: number}>}
 * @throws {Error} that names the decisions which were not as wanted.
 */
export async function check(open) {
  const got = [...(await decideTable(open)), ...(await decideRequests(open))];
  const failed = got.filter(({ wanted, decided }) => !Object.is(wanted, decided));
  if (failed.length > 0) {
    const lines = failed.map(({ name, wanted, decided }) => `${name}: ${decided}, not ${wanted}`);
    throw new Error(`Of ${got.length} decisions ${failed.length} are wrong: ${lines.join("; ")}`);
  }
  return { passed: got.length, total: got.length };
}

async function decideTable(open) {
  const decisions = [];
  // A plug-in watches one field.
  for (const type of Object.keys(TYPES)) {
    const decider = await open();
    try {
      const cases = CASES.filter((one) => (one.type ?? "u32") === type);
      // Each while those before it are under way, as a gateway asks.
      const asked = [];
      for (const one of cases) {
        asked.push(decider.decide(tableMessage({ ...one, type })));
        await null;
      }
      const decided = await Promise.all(asked);
      cases.forEach(({ name, wanted }, index) => {
        decisions.push({ name, wanted, decided: decided[index] });
      });
      if (type === "u32") decisions.push(...(await refuseTable(decider)));
    } finally {
      await decider.close();
    }
  }
  return decisions;
}

async function refuseTable({ decide }) {
  const decisions = [];
  for (const { name, length, ...fields } of REFUSED) {
    const bytes = tableMessage({ active: [10, 10], type: "u32" }).slice(0, length);
    const view = new DataView(bytes.buffer);
    for (const [field, value] of Object.entries(fields)) view.setInt32(PLACES[field], value, true);
    const decided = await decide(bytes).then(
      (fraction) => fraction,
      () => "refused",
    );
    decisions.push({ name, wanted: "refused", decided });
  }
  // What it refused must not have spoilt it.
  const decided = await decide(tableMessage({ active: [10, 10], type: "u32" }));
  return [...decisions, { name: "full, after what was refused", wanted: 1, decided }];
}

/** Where the fields of REFUSED are in a message. */
const PLACES = {
  segmentSize: message.SEGMENT_SIZE,
  type: message.TYPE,
  offset: message.OFFSET,
  workers: message.WORKERS,
};

function tableMessage({ active, type, capacity = 10, ageMs = 0 }) {
  const { code, set } = TYPES[type];
  const header = { capacity, ageMs, segmentSize: SEGMENT_SIZE, type: code, offset: FIELD_OFFSET };
  // What is beside the field must not count.
  const bytes = encode({ ...header, workers: active.length }).fill(0xff, message.SEGMENTS);
  const view = new DataView(bytes.buffer);
  active.forEach((value, index) => {
    view[set](message.SEGMENTS + index * SEGMENT_SIZE + FIELD_OFFSET, value, true);
  });
  return bytes;
}

/** Requests through a real gateway to real workers: few, as many as they can take, few again. */
async function decideRequests(open) {
  const ends = [];
  const atEnd = (end) => ends.push(end);
  try {
    const { ports, monitor, release } = await startWorkers(atEnd);
    const decider = await open();
    atEnd(() => decider.close());
    const watch = new Watch(monitor, {
      service: "web",
      field: "requests_active",
      capacity: CAPACITY,
    });
    atEnd(() => watch.close());
    let chance = 0;
    let ask = decider.decide;
    const complaints = [];
    const gateway = createGateway({
      watch,
      decide: (bytes) => ask(bytes),
      ports,
      random: () => chance,
      log: { error: (...words) => complaints.push(words.join(" ")) },
    });
    gateway.listen(0, "127.0.0.1");
    await once(gateway, "listening");
    atEnd(() => gateway.close());
    const url = `http://127.0.0.1:${gateway.address().port}/`;
    const decisions = [];
    const request = async (name, wanted) => {
      decisions.push({ name, wanted, decided: (await answered(fetch(url))).status });
    };
    // Around the gateway, which would turn some of these away.
    const held = [];
    const hold = (port) => held.push(answered(fetch(`http://127.0.0.1:${port}/slow`)));

    await request("a request to idle workers", 200);
    for (let i = 0; i < CAPACITY; i++) hold(ports[0]);
    for (let i = 1; i < CAPACITY; i++) hold(ports[1]);
    await activeIs(monitor, WORKERS * CAPACITY - 1);
    chance = 0.499;
    await request("a request to workers half-way to full, with bad luck", 503);
    chance = 0.5;
    await request("a request to workers half-way to full, with good luck", 200);
    hold(ports[1]);
    await activeIs(monitor, WORKERS * CAPACITY);
    chance = 0.999;
    await request("a request to full workers", 503);
    ask = () => Promise.reject(new Error("The plug-in is broken"));
    await request("a request without a plug-in", 200);
    ask = decider.decide;
    release();
    await Promise.all(held);
    await activeIs(monitor, 0);
    chance = 0;
    await request("a request to workers that are idle again", 200);
    if (complaints.length !== 1)
      throw new Error(`Not one complaint, but: ${complaints.join("; ")}`);
    return decisions;
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** Reads the answer to its end: the worker is busy until then. */
async function answered(request) {
  const response = await request;
  await response.arrayBuffer();
  return response;
}

/** Waits until so many requests are active, and the gateway will look anew. */
async function activeIs(monitor, count) {
  const active = () => monitor.sample().web.requests_active;
  await until(() => active() === count, `${count} requests are active`);
  await setTimeout(2 * FRESH_MS);
}
