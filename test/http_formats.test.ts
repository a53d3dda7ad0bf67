import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { authority, parseAddress } from "../host/http/address.ts";
import { renderMetrics, type Source } from "../host/http/exposition.ts";
import { preferredFormat } from "../host/http/negotiation.ts";
import type { Value } from "../host/sampler.ts";
import { Schema, type SchemaDefinition } from "../host/schema.ts";

type Values = Record<string, Value>;

interface Told {
  readonly data?: Record<string, Values>;
  readonly totals?: Record<string, Values>;
  readonly stalled?: Record<string, number>;
  readonly schema?: SchemaDefinition;
}

/** A monitor with one service or more, all of the same schema. */
function source({ data = {}, totals = {}, stalled = {}, schema }: Told): Source {
  const fields = schema === undefined ? [] : Schema.build(schema).fields;
  const byName = new Map(fields.map((field) => [field.name, field]));
  const status = { type: "utilization_monitor", data, totals, stalled } as Source["status"];
  return { status, fields: new Map(Object.keys(data).map((name) => [name, byName])) };
}

/** The lines that are not about the monitor itself. */
function lines(told: Told, format: "text" | "openmetrics"): string[] {
  const text = renderMetrics([source(told)], { format });
  assert.ok(text.endsWith("\n"));
  return text.split("\n").filter((line) => line !== "" && !/\butilization_/.test(line));
}

const WEB: Told = {
  schema: {
    requests_total: { type: "u64", help: 'Answered "requests"\\answers.' },
    memory_bytes: { type: "u64", unit: "bytes" },
    delay: { type: "f64", aggregate: "max" },
  },
  data: { web: { requests_total: 5n, memory_bytes: 2n ** 70n, delay: 0.25, worker_count: 2 } },
  totals: { web: { requests_total: 18446744073709551617n, worker_count: 2 } },
};

describe("metrics", () => {
  it("are in the text format 0.0.4", () => {
    assert.deepEqual(lines(WEB, "text"), [
      '# HELP requests_total Answered "requests"\\\\answers.',
      "# TYPE requests_total counter",
      'requests_total{service="web"} 18446744073709551617',
      "# HELP memory_bytes Sum over the workers of a service.",
      "# TYPE memory_bytes gauge",
      'memory_bytes{service="web"} 1180591620717411303424',
      "# HELP delay Highest among the workers of a service.",
      "# TYPE delay gauge",
      'delay{service="web"} 0.25',
    ]);
  });

  it("are in OpenMetrics 1.0: families without _total, units, an end", () => {
    assert.deepEqual(lines(WEB, "openmetrics"), [
      "# TYPE requests counter",
      '# HELP requests Answered \\"requests\\"\\\\answers.',
      'requests_total{service="web"} 18446744073709551617',
      "# TYPE memory_bytes gauge",
      "# UNIT memory_bytes bytes",
      "# HELP memory_bytes Sum over the workers of a service.",
      'memory_bytes{service="web"} 1180591620717411303424',
      "# TYPE delay gauge",
      "# HELP delay Highest among the workers of a service.",
      'delay{service="web"} 0.25',
      "# EOF",
    ]);
  });

  it("tell of services without workers, and of stalled workers", () => {
    const told = { ...WEB, stalled: { web: 1 } };
    const totals = { ...told.totals, gone: { requests_total: 9n, worker_count: 0 } };
    const text = renderMetrics([source({ ...told, totals })], {
      format: "text",
      limitsReached: { workers: 3 },
    });
    for (const line of [
      'utilization_workers{service="web"} 2',
      'utilization_workers{service="gone"} 0',
      'utilization_stalled_workers{service="web"} 1',
      'utilization_stalled_workers{service="gone"} 0',
      'utilization_limits_reached_total{limit="workers"} 3',
      'requests_total{service="gone"} 9',
    ]) {
      assert.ok(text.includes(`\n${line}\n`), line);
    }
    assert.doesNotMatch(text, /memory_bytes\{service="gone"/);
  });

  it("have names and labels that parsers take, whatever workers are called", () => {
    const name = 'a "b"\\c\nd';
    const data = { [name]: { "größe-1": 1, "7up": 2, "a:b": 3, worker_count: 1 } };
    const totals = { [name]: { worker_count: 1 } };
    assert.deepEqual(
      lines({ data, totals }, "text").filter((line) => !line.startsWith("#")),
      [
        'gr__e_1{service="a \\"b\\"\\\\c\\nd"} 1',
        '_7up{service="a \\"b\\"\\\\c\\nd"} 2',
        'a:b{service="a \\"b\\"\\\\c\\nd"} 3',
      ],
    );
  });

  it("give a counter its suffix, and a family its own name beside a gauge of that name", () => {
    const data = { web: { requests: 3, calls: 4n, requests_total: 5n, worker_count: 1 } };
    const totals = { web: { calls: 4n, requests_total: 5n, worker_count: 1 } };
    assert.deepEqual(
      lines({ data, totals }, "openmetrics").filter((line) => !line.startsWith("# HELP")),
      [
        "# TYPE calls counter",
        'calls_total{service="web"} 4',
        "# TYPE requests_total unknown",
        'requests_total{service="web"} 5',
        "# TYPE requests gauge",
        'requests{service="web"} 3',
        "# EOF",
      ],
    );
  });

  it("keep a counter from owning a name that ends in _created", () => {
    const counters = { jobs_total: 5n, rows_total: 6n, rows_created_total: 7n, worker_count: 1 };
    const data = { web: { ...counters, jobs_created: 3 } };
    const totals = { web: counters };
    assert.deepEqual(
      lines({ data, totals }, "openmetrics").filter((line) => !line.startsWith("# HELP")),
      [
        "# TYPE jobs_total unknown",
        'jobs_total{service="web"} 5',
        "# TYPE rows_total unknown",
        'rows_total{service="web"} 6',
        "# TYPE rows_created counter",
        'rows_created_total{service="web"} 7',
        "# TYPE jobs_created gauge",
        'jobs_created{service="web"} 3',
        "# EOF",
      ],
    );
  });

  it("say what is no number, and leave out what is no count", () => {
    const data = {
      web: { a: Number.NaN, b: Infinity, c: -Infinity, d: -0.5, worker_count: 1 },
    };
    const totals = { web: { x_total: Number.NaN, y_total: -1n, worker_count: 1 } };
    assert.deepEqual(
      lines({ data, totals }, "text").filter((line) => !line.startsWith("#")),
      [
        'a{service="web"} NaN',
        'b{service="web"} +Inf',
        'c{service="web"} -Inf',
        'd{service="web"} -0.5',
      ],
    );
  });

  it("are told once where two fields have one name, and the other is reported", () => {
    const data = {
      web: { "a-b": 1, "a.b": 2, utilization_workers: 3, z_total: 4, worker_count: 1 },
      api: { worker_count: 1 },
    };
    const totals = { web: { worker_count: 1 }, api: { z_total: 5n, worker_count: 1 } };
    const conflicts: string[][] = [];
    const text = renderMetrics([source({ data, totals })], {
      format: "openmetrics",
      onConflict: (...names) => conflicts.push(names),
    });
    assert.deepEqual(conflicts, [
      ["web", "a.b"],
      ["web", "utilization_workers"],
      ["api", "z_total"],
    ]);
    const samples = text.split("\n").filter((line) => !line.startsWith("#"));
    assert.equal(new Set(samples).size, samples.length);
    assert.match(text, /^a_b\{service="web"\} 1$/m);
  });

  it("tell the monitors apart where there are several", () => {
    const text = renderMetrics([source(WEB), source(WEB)], { format: "text" });
    assert.match(text, /^delay\{service="web",monitor="1"\} 0.25$/m);
    assert.match(text, /^delay\{service="web",monitor="2"\} 0.25$/m);
  });
});

describe("preferredFormat()", () => {
  const PROMETHEUS =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  for (const [accept, expected] of [
    [undefined, "text"],
    ["*/*", "text"],
    [PROMETHEUS, "openmetrics"],
    ["text/plain;version=0.0.4;q=0.9, application/openmetrics-text; version=1.0.0; q=0.5", "text"],
    ["application/openmetrics-text;q=0, */*;q=0.1", "text"],
    ["application/openmetrics-text; version=2.0.0, text/plain;q=0.1", "text"],
    ["application/openmetrics-text;q=nonsense", "text"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "text"],
    ["Application/OpenMetrics-Text;Version=1.0.0;escaping=allow-utf-8", "openmetrics"],
  ] as const) {
    it(`takes ${expected} for ${accept}`, () => assert.equal(preferredFormat(accept), expected));
  }
});

describe("parseAddress()", () => {
  for (const [text, expected] of [
    ["9464", "127.0.0.1:9464"],
    [":80", "127.0.0.1:80"],
    ["127.0.0.1:0", "127.0.0.1:0"],
    ["0.0.0.0:9464", "0.0.0.0:9464"],
    ["localhost", "localhost:9464"],
    ["metrics.example:65535", "metrics.example:65535"],
    ["[::1]:9000", "[::1]:9000"],
    ["[::]", "[::]:9464"],
  ] as const) {
    it(`reads ${text}`, () => assert.equal(authority(parseAddress(text)), expected));
  }
  for (const text of [
    "",
    ":",
    "65536",
    "a:b",
    "::1",
    "[::1",
    "[a]:1",
    "http://a",
    "a b",
    "-1",
    "a:1:2",
  ]) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseAddress(text), { name: "RangeError", message: /Cannot listen on/ });
    });
  }
});
