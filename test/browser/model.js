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

describe("the model of the page", () => {
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
