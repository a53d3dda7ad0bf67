// What the page makes of reports that no well-behaved supervisor sends one after the other.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseExactly } from "../../page/json.js";
import { Model } from "../../page/model.js";

const NOON = Date.parse("2026-11-25T12:00:00Z");

/** What a supervisor of one worker tells at a second after noon. */
function report(second, requests, { id = 1, processId = 4001, service = "web" } = {}) {
  const data = { requests_total: requests, worker_count: 1 };
  const stalledFor = 0;
  return {
    time: new Date(NOON + second * 1000).toISOString(),
    status: [
      {
        data: { [service]: data },
        totals: { [service]: data },
        stalled: {},
        workers: [{ id, processId, service, mapping: "koffi", stalledFor, data }],
      },
    ],
  };
}

/** A model that has been told all this. */
function told(...reports) {
  const model = new Model();
  for (const one of reports) model.update(parseExactly(JSON.stringify(one)));
  return model;
}

function serviceOf(model) {
  const [service] = model.services.values();
  return service;
}

/** The same with a histogram of these counts, in buckets to 1, to 2, and beyond. */
function observedAt(second, [one, two, more]) {
  const of = report(second, 0);
  const parts = {
    seconds_bucket_1: one,
    seconds_bucket_2: two,
    seconds_bucket_inf: more,
    seconds_sum: 0,
  };
  const [{ data, workers }] = of.status;
  Object.assign(data.web, parts);
  workers[0].data = data.web;
  return of;
}

describe("the model of the page", () => {
  it("shows a histogram by what was observed since the report before", () => {
    const model = told(observedAt(0, [100, 100, 0]));
    const field = serviceOf(model).fields.get("seconds");
    assert.deepEqual([...serviceOf(model).fields.keys()], ["requests_total", "seconds"]);
    assert.deepEqual([field.shown, field.rate], [null, undefined]);
    model.update(observedAt(2, [110, 110, 0]));
    assert.equal(serviceOf(model).fields.get("seconds"), field);
    assert.deepEqual([field.value, field.rate, field.quantiles], [1.98, 10, { p50: 1, p90: 1.8 }]);
    assert.equal(serviceOf(model).workers[0].rates.get("seconds"), 1.98);
    // Too soon: nothing changes.
    model.update(observedAt(2.1, [111, 110, 50]));
    assert.equal(field.value, 1.98);
    model.update(observedAt(3, [110, 110, 4]));
    assert.deepEqual([field.value, field.rate], [2, 4]);
    // Nothing was observed, and then it began anew.
    model.update(observedAt(4, [110, 110, 4]));
    assert.deepEqual([field.value, field.shown, field.rate], [undefined, null, 0]);
    assert.equal(serviceOf(model).workers[0].rates.get("seconds"), undefined);
    model.update(observedAt(5, [1, 0, 0]));
    assert.deepEqual([field.value, field.rate], [undefined, undefined]);
    assert.deepEqual(field.points, [null, 1.98, 2, null, null]);
    assert.equal(field.quantity, "seconds");
  });

  it("takes the difference of counts that no number holds", () => {
    const model = new Model();
    model.update(observedAt(0, [2n ** 60n, 0, 0]));
    model.update(observedAt(1, [2n ** 60n + 3n, 0, 0]));
    assert.equal(serviceOf(model).fields.get("seconds").rate, 3);
  });

  it("does not take a worker of the next supervisor for one that is gone", () => {
    const model = told(report(0, 10), report(1, 20));
    const [before] = serviceOf(model).workers;
    model.update(report(2, 5, { processId: 4002 }));
    const [worker] = serviceOf(model).workers;
    assert.equal(worker.processId, 4002);
    assert.equal(worker.rates.get("requests_total"), undefined);
    assert.notEqual(worker, before);
  });

  it("goes on from where the clock was set back to", () => {
    const model = told(report(3598, 10), report(3599, 20), report(3600, 40), report(3598.5, 50));
    const field = serviceOf(model).fields.get("requests_total");
    const [worker] = serviceOf(model).workers;
    assert.deepEqual([field.rate, worker.rates.get("requests_total")], [undefined, undefined]);
    model.update(report(3599.5, 80));
    assert.deepEqual([field.rate, worker.rates.get("requests_total")], [30, 30]);
    assert.deepEqual(
      field.times.map((time) => time - NOON / 1000),
      [3598, 3598.5, 3599.5],
    );
    assert.deepEqual(field.points, [null, null, 30]);
  });

  for (const service of ["constructor", "__proto__"]) {
    it(`counts nobody as stalled in a service called ${service}`, () => {
      const model = told(report(0, 10, { service }), report(1, 20, { service }));
      const { name, workerCount, stalledCount, fields } = serviceOf(model);
      assert.deepEqual([name, workerCount, stalledCount], [service, 1, 0]);
      assert.equal(fields.get("requests_total").rate, 10);
    });
  }
});
