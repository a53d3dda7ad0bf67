import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Observer } from "../host/observer.ts";
import { Registry } from "../host/registry.ts";
import { Schema } from "../host/schema.ts";
import { temporaryFolder } from "./support/folder.ts";
import { CollectingLogger } from "./support/log.ts";

const schema = Schema.build({
  requests_total: "u64",
  requests_active: "u32",
  http_requests_total: "u64",
  http_client_errors: "u16",
  load: "f64",
});

function openObserver(folder: string, name = "file", own: typeof schema = schema) {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(1024));
  return Observer.open({ path, size: 512, offset: 512, schema: own });
}

describe("Registry", () => {
  it("has a metric for each field", () => {
    const registry = new Registry(schema);
    assert.deepEqual(Object.keys(registry.metrics), [
      "requests_total",
      "requests_active",
      "http_requests_total",
      "http_client_errors",
      "load",
    ]);
    const { requests_total } = registry.metrics;
    assert.equal(requests_total.name, "requests_total");
    assert.equal(registry.metric("requests_total"), requests_total);
    requests_total.increment(3);
    assert.equal(requests_total.value, 3);
    assert.equal(registry.metrics.requests_active.value, 0);
  });

  it("knows their names at compile time", () => {
    const { metrics } = new Registry(schema);
    // @ts-expect-error: there is no such metric.
    assert.equal(metrics.requests_totl, undefined);
    // Typed names are a service to the writer: any registry fits where the names do not matter.
    const any: Registry = new Registry(schema);
    assert.equal(any.metrics.load?.value, 0);
  });

  it("counts under other names for this process alone", (t) => {
    const registry = new Registry(schema);
    const other = registry.metric("jobs_total");
    other.increment(2);
    assert.equal(registry.metric("jobs_total"), other);
    assert(!("jobs_total" in registry.metrics));
    const observer = openObserver(temporaryFolder(t));
    registry.attach(observer);
    other.increment();
    assert.equal(registry.metric("jobs_total").value, 3);
    registry.attach(null);
    observer.close();
  });

  it("takes names that objects have already", () => {
    const names = ["constructor", "toString", "__proto__"] as const;
    const registry = new Registry(
      Schema.build({ constructor: "u64", toString: "u64", ["__proto__"]: "u64" }),
    );
    for (const name of names) {
      registry.metrics[name].increment();
      assert.equal(registry.metric(name).value, 1);
    }
    assert.equal(registry.metric("valueOf").value, 0);
  });

  it("has an incarnation of its own", () => {
    const ids = Array.from({ length: 10 }, () => new Registry(schema).incarnation);
    assert.equal(new Set(ids).size, 10);
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
  });

  it("refuses fields that could be read half written", () => {
    const packed = Schema.fromRows([
      ["a", "u32", 0],
      ["b", "u64", 4],
    ]);
    assert.throws(() => new Registry(packed), {
      name: "RangeError",
      message: 'Cannot make a metric for field "b": offset 4 is not a multiple of 8',
    });
  });

  it("logs through the logger it is given", () => {
    const log = new CollectingLogger();
    const registry = new Registry(schema, { log });
    registry.metrics.requests_active.decrement();
    registry.metric("other").decrement();
    assert.equal(log.lines.length, 2);
  });
});

describe("Registry.attach()", () => {
  it("brings the values along, to each observer and back", (t) => {
    const folder = temporaryFolder(t);
    const registry = new Registry(schema);
    const { requests_total, load } = registry.metrics;
    requests_total.increment(2 ** 40);
    load.set(0.5);

    const first = openObserver(folder, "first");
    registry.attach(first);
    assert.equal(registry.observer, first);
    assert.equal(first.read("requests_total"), 2n ** 40n);
    requests_total.increment();
    assert.equal(first.read("requests_total"), 2n ** 40n + 1n);

    const second = openObserver(folder, "second");
    registry.attach(second);
    requests_total.increment();
    load.increment();
    assert.equal(first.read("requests_total"), 2n ** 40n + 1n);
    assert.equal(second.read("requests_total"), 2n ** 40n + 2n);
    assert.equal(second.read("load"), 1.5);

    registry.attach(null);
    requests_total.increment();
    assert.equal(second.read("requests_total"), 2n ** 40n + 2n);
    assert.equal(requests_total.bigint, 2n ** 40n + 3n);
    first.close();
    second.close();
  });

  it("does nothing when it is attached there already", (t) => {
    const registry = new Registry(schema);
    const observer = openObserver(temporaryFolder(t));
    registry.attach(null);
    registry.attach(observer);
    registry.metrics.load.set(1);
    registry.attach(observer);
    assert.equal(observer.read("load"), 1);
    observer.close();
  });

  it("lets metrics count on in an observer that is closed", (t) => {
    const folder = temporaryFolder(t);
    const registry = new Registry(schema);
    const observer = openObserver(folder);
    registry.attach(observer);
    observer.close();
    registry.metrics.load.increment(5);
    const next = openObserver(folder, "next");
    registry.attach(next);
    assert.equal(next.read("load"), 5);
    next.close();
  });

  it("refuses an observer of another schema, or one that is closed", (t) => {
    const folder = temporaryFolder(t);
    const registry = new Registry(schema);
    const same = Schema.fromRows(schema.toRows()) as typeof schema;
    const other = openObserver(folder, "other", same);
    assert.throws(() => registry.attach(other), TypeError);
    const closed = openObserver(folder, "closed");
    closed.close();
    assert.throws(() => registry.attach(closed), /Cannot attach to an observer that is closed/);
    assert.equal(registry.observer, null);
    registry.metrics.load.increment();
    assert.equal(registry.metrics.load.value, 1);
    other.close();
  });
});

describe("Namespace", () => {
  it("puts its prefix before names", () => {
    const registry = new Registry(schema);
    const http = registry.namespace("http");
    http.metric("requests_total").increment();
    assert.equal(registry.metrics.http_requests_total.value, 1);
    assert.equal(http.metric("other").name, "http_other");
  });

  it("can be nested", () => {
    const registry = new Registry(schema);
    const client = registry.namespace("http").namespace("client");
    assert.equal(client.prefix, "http_client");
    client.metric("errors").increment();
    assert.equal(registry.metrics.http_client_errors.value, 1);
  });
});
