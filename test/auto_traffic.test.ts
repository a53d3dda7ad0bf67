// What automatic instrumentation counts of HTTP servers, against what clients did.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { get as getSecurely, Agent as HttpsAgent } from "node:https";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { notNode, startApplication, untilSums } from "./support/auto.ts";
import { connectTo, fetchText, oneConnection, startRequest } from "./support/http_client.ts";
import { PSK } from "./support/psk.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const LIMIT = { timeout: 60_000, skip: notNode };
const nodeVersion = Number.parseInt(process.versions.node, 10);

it("requests and connections of several servers are what clients made", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  const port = await application.ask<number>("listen");
  // Before it has registered.
  for (let i = 0; i < 3; i++) assert.equal(await fetchText(port), "hello /");
  await untilSums(scene, { requests_total: 3, connections_total: 3, connections_active: 0 });

  const later = await application.ask<number>("listen");
  const agent = oneConnection();
  for (let i = 0; i < 10; i++) await fetchText(later, "/", { agent });
  await untilSums(scene, {
    requests_total: 13,
    requests_active: 0,
    connections_total: 4,
    connections_active: 1,
    worker_count: 1,
  });

  const held = fetchText(later, "/hold", { agent });
  const others = [fetchText(port, "/hold"), fetchText(port, "/hold")];
  await untilSums(scene, { requests_total: 16, requests_active: 3, connections_active: 3 });
  await until(async () => (await application.ask<number>("held")) === 3, "all are held");
  await application.ask("release");
  assert.deepEqual(await Promise.all([held, ...others]), Array(3).fill("hello /hold"));
  await untilSums(scene, { requests_active: 0, connections_active: 1, connections_total: 6 });
  agent.destroy();
  await untilSums(scene, { requests_total: 16, requests_active: 0, connections_active: 0 });
});

it(
  "requests whose connection closes are active no more, answered later or not",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t);
    const application = startApplication(scene);
    const port = await application.ask<number>("listen");
    const requests = [startRequest(port, "/hold"), startRequest(port, "/hold")];
    // The first of these holds up the others, which have no connection of their own.
    const pipelined = await connectTo(port);
    const lines = ["/hold", "/", "/"].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    pipelined.write(lines.join(""));
    await untilSums(scene, { requests_total: 5, requests_active: 5, connections_active: 3 });

    for (const request of requests) request.destroy();
    pipelined.destroy();
    await untilSums(scene, { requests_total: 5, requests_active: 0, connections_active: 0 });

    await application.ask("release");
    const half = await connectTo(port);
    half.write("GET / HT");
    await untilSums(scene, { requests_active: 0, requests_total: 5, connections_active: 1 });
    half.write("ML rubbish\r\n\r\n");
    await untilSums(scene, { requests_active: 0, requests_total: 5, connections_active: 0 });
    assert.equal(await fetchText(port), "hello /");
    await untilSums(scene, { requests_active: 0, requests_total: 6, connections_total: 5 });
    assert.deepEqual(application.log, []);
  },
);

it("requests that are answered are timed, in whatever order they came", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  const port = await application.ask<number>("listen");
  const observed = () => scene.monitor.status().histograms?.web?.request_duration_seconds;
  for (let i = 0; i < 3; i++) await fetchText(port);
  await until(() => observed()?.count === 3, "they are timed");
  assert.ok(observed()!.p50! < 1);

  // The second one begins later and ends later: both take longer than a bucket of 0.25 s.
  const hold = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n";
  const pipelined = await connectTo(port);
  const held = (count: number) =>
    until(async () => (await application.ask<number>("held")) === count, "it is held");
  pipelined.write(hold);
  await held(1);
  await sleep(300);
  pipelined.write(hold);
  await held(2);
  await application.ask("release", { count: 1 });
  await until(() => observed()?.count === 4, "the first is timed");
  await sleep(300);
  await application.ask("release");
  await until(() => observed()?.count === 5, "both are timed");
  const web = scene.monitor.sample().web!;
  const slow = [0.5, 1, 2.5, 5, 10, "inf"].map(
    (le) => web[`request_duration_seconds_bucket_${le}`]!,
  );
  assert.equal(
    slow.reduce((sum, count) => sum + count, 0),
    2,
  );

  const aborted = startRequest(port, "/hold");
  await untilSums(scene, { requests_active: 1 });
  aborted.destroy();
  pipelined.destroy();
  await untilSums(scene, { requests_active: 0, requests_total: 6 });
  await application.ask("release");
  await fetchText(port);
  await until(() => observed()?.count === 6, "the next one is timed");
  assert.equal(observed()!.count, 6);
});

it("https is counted once for each connection and request", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  const port = await application.ask<number>("listen", { kind: "https" });
  const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1, ...PSK.client });
  for (let i = 0; i < 5; i++) {
    const request = getSecurely({ port, host: "127.0.0.1", agent });
    const [response] = await once(request, "response");
    response.resume();
    await once(response, "end");
  }
  await untilSums(scene, {
    requests_total: 5,
    requests_active: 0,
    connections_total: 1,
    connections_active: 1,
  });
  const aborted = getSecurely({ port, host: "127.0.0.1", path: "/hold", agent }).on(
    "error",
    () => {},
  );
  await untilSums(scene, { requests_active: 1, connections_active: 1 });
  aborted.destroy();
  agent.destroy();
  await untilSums(scene, { requests_total: 6, requests_active: 0, connections_active: 0 });
  await untilSums(scene, { connections_total: 1 });
});

it("an upgrade is no request, and its connection is one until it closes", LIMIT, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  const port = await application.ask<number>("listen");
  const socket = await connectTo(port);
  socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  const [answer] = await once(socket, "data");
  assert.match(String(answer), /^HTTP\/1.1 101 /);
  socket.write("ping");
  assert.equal(String((await once(socket, "data"))[0]), "ping");
  await untilSums(scene, { requests_total: 0, connections_total: 1, connections_active: 1 });
  socket.destroy();
  await untilSums(scene, { requests_total: 0, connections_total: 1, connections_active: 0 });
});

it(
  "connections that are handed to a server count, those of other servers do not",
  LIMIT,
  async (t) => {
    const scene = await Scene.supervised(t);
    const application = startApplication(scene);
    const handing = await application.ask<number>("listen", { kind: "handing" });
    const plain = await connectTo(await application.ask<number>("listen", { kind: "plain" }));
    plain.write("ping");
    await once(plain, "data");
    const agent = oneConnection();
    for (let i = 0; i < 3; i++) await fetchText(handing, "/", { agent });
    await untilSums(scene, { requests_total: 3, connections_total: 1, connections_active: 1 });
    agent.destroy();
    await untilSums(scene, { requests_total: 3, connections_total: 1, connections_active: 0 });
    plain.destroy();
  },
);

it("HTTP/2 streams are requests", {
  ...LIMIT,
  skip: notNode || (nodeVersion < 22 && "Node 20 does not publish them"),
}, async (t) => {
  const scene = await Scene.supervised(t);
  const application = startApplication(scene);
  const port = await application.ask<number>("listen", { kind: "http2" });
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  for (let i = 0; i < 4; i++) {
    const stream = session.request({ ":path": "/" }).resume();
    await once(stream, "end");
  }
  await untilSums(scene, { requests_total: 4, requests_active: 0, connections_active: 1 });
  const observed = () => scene.monitor.status().histograms?.web?.request_duration_seconds?.count;
  await until(() => observed() === 4, "they are timed");
  session.request({ ":path": "/hold" }).on("error", () => {});
  await untilSums(scene, { requests_total: 5, requests_active: 1 });
  session.destroy();
  await untilSums(scene, { requests_total: 5, requests_active: 0, connections_active: 0 });
  await untilSums(scene, { connections_total: 1 });
  assert.equal(observed(), 4);
});
