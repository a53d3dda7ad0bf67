import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { get, RawClient, serveHttp } from "./support/http.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

interface Told {
  readonly time: string;
  readonly status: {
    readonly data: object;
    readonly totals?: object;
    readonly workers?: object[];
  }[];
}

describe("events", () => {
  it("tell the status at once and every interval", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    const worker = await scene.registered();
    await worker.ask("set", { value: String(2n ** 60n + 1n) });
    await until(() => scene.total("web") === 2n ** 60n + 1n, "the value is read");
    const client = new RawClient(scene, http, get("/events?totals&workers&interval=0.1"));
    await until(() => client.events.length >= 3, "three events");
    assert.match(client.text, /^content-type: text\/event-stream\r$/m);
    assert.ok(client.events[0]!.includes('"requests_total":1152921504606846977'));
    const told = client.events.map((event) => JSON.parse(event) as Told);
    for (const { time, status } of told) {
      assert.equal(new Date(time).toISOString(), time);
      assert.deepEqual(Object.keys(status[0]!.data), ["web"]);
      assert.deepEqual(Object.keys(status[0]!.totals!), ["web"]);
      assert.equal(status[0]!.workers!.length, 1);
    }
    const times = told.map(({ time }) => time);
    assert.deepEqual([...new Set(times)].sort(), times);
  });

  it("leave out what was not asked for", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    const client = new RawClient(scene, http, get("/events"));
    await until(() => client.events.length >= 1, "an event");
    const { status } = JSON.parse(client.events[0]!) as Told;
    assert.deepEqual(Object.keys(status[0]!), ["type", "data", "stalled"]);
  });

  it("of many readers share one sample", async (t) => {
    const scene = await Scene.supervised(t);
    let samples = 0;
    const counting = Object.create(scene.monitor, {
      statusText: {
        value: () => {
          samples++;
          return "{}";
        },
      },
    });
    const http = await serveHttp(scene, { monitors: [counting] });
    const readers = Array.from(
      { length: 20 },
      () => new RawClient(scene, http, get("/events?interval=0.2")),
    );
    await until(() => readers.every(({ events }) => events.length >= 2), "all have come");
    samples = 0;
    const before = readers.map(({ events }) => events.length);
    await until(
      () => readers.every(({ events }, index) => events.length >= before[index]! + 5),
      "five more events for each",
    );
    assert.ok(samples <= 10, `${samples} samples for ${readers.length} readers`);
  });

  it("are no more than there is room for", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene, { maxReaders: 2 });
    const readers = [1, 2].map(() => new RawClient(scene, http, get("/events")));
    await until(() => readers.every(({ events }) => events.length > 0), "both are served");
    const third = new RawClient(scene, http, get("/events"));
    const answer = await third.end();
    assert.match(answer, /^HTTP\/1\.1 503 /);
    assert.match(answer, /There are 2 readers of events already/);
    assert.equal((await fetch(`${http.url}status`)).status, 200);
  });

  it("take one place for each connection, and leave it with the connection", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene, { maxReaders: 2 });
    const greedy = new RawClient(scene, http, get("/events").repeat(3));
    await until(() => greedy.events.length > 0, "the first is served");
    const other = new RawClient(scene, http, get("/events"));
    await until(() => other.text !== "", "an answer");
    assert.equal(other.status, "HTTP/1.1 200 OK");
    greedy.socket.destroy();
    await until(async () => {
      const later = new RawClient(scene, http, get("/events"));
      await until(() => later.text !== "", "an answer");
      return later.status === "HTTP/1.1 200 OK";
    }, "the place is free");
  });

  it("beat as comments where they are far apart", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene, { feed: { heartbeatMs: 50 } });
    const client = new RawClient(scene, http, get("/events?interval=60"));
    await until(() => [...client.text.matchAll(/^:$/gm)].length >= 3, "three heartbeats");
    // The first, and one more where a minute begins meanwhile.
    assert.ok(client.events.length <= 2);
  });

  it("are not kept for a reader that does not read: it is dropped", async (t) => {
    const scene = await Scene.supervised(t);
    const big = JSON.stringify("x".repeat(4_000_000));
    const monitor = Object.create(scene.monitor, { statusText: { value: () => big } });
    const http = await serveHttp(scene, { monitors: [monitor], feed: { patienceMs: 400 } });
    const slow = new RawClient(scene, http, get("/events?interval=0.1"));
    slow.socket.once("data", () => slow.socket.pause());
    const quick = new RawClient(scene, http, get("/events?interval=0.1"));
    await until(() => slow.text !== "" && quick.text !== "", "both are served");
    const closed = new Promise((resolve) => slow.socket.once("close", resolve));
    const before = quick.text.length;
    await until(() => quick.text.length > before + 40_000_000, "ten events for who reads");
    slow.socket.resume();
    await closed;
    assert.ok(slow.text.length < 20_000_000, `${slow.text.length} characters were kept`);
    assert.equal(quick.closed, false);
  });

  it("go on when a monitor cannot tell once", async (t) => {
    const scene = await Scene.supervised(t);
    let isBroken = false;
    const monitor = Object.create(scene.monitor, {
      statusText: {
        value: () => {
          if (isBroken) throw new Error("It broke");
          return "{}";
        },
      },
    });
    const http = await serveHttp(scene, { monitors: [monitor] });
    const client = new RawClient(scene, http, get("/events?interval=0.1"));
    await until(() => client.events.length > 0, "an event");
    isBroken = true;
    await until(() => scene.log.with("error").length > 0, "an error");
    isBroken = false;
    const before = client.events.length;
    await until(() => client.events.length > before, "another event");
  });

  it("tell of a worker that is stalled", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    const worker = await scene.registered({ heartbeatMs: 50 });
    const client = new RawClient(scene, http, get("/events?interval=0.1"));
    await worker.stop();
    scene.atEnd(() => worker.wake());
    await until(() => client.text.includes('"stalled":{"web":1}'), "it is stalled");
  });
});
