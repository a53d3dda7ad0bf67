import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type CollectOptions,
  collectFamilies,
  type MetricSource,
} from "../host/exposition/families.ts";
import { formatFamilies, type MetricsFormat } from "../host/exposition/text.ts";
import type { WorkerSample } from "../host/sample.ts";
import { Schema, type SchemaDefinition } from "../host/schema.ts";
import type { Value } from "../host/value.ts";
import { VERSION } from "../host/version.ts";

type Values = Record<string, Value>;

interface Told {
  readonly data?: Record<string, Values>;
  readonly totals?: Record<string, Values>;
  readonly stalled?: Record<string, number>;
  readonly leaking?: Record<string, Record<string, number>>;
  readonly workers?: readonly Pick<WorkerSample, "slot" | "service" | "text" | "data">[];
  readonly schema?: SchemaDefinition;
}

/** A monitor with one service or more, all of the same schema. */
function source({ data = {}, totals = {}, stalled = {}, schema, ...others }: Told): MetricSource {
  const fields = schema === undefined ? [] : Schema.build(schema).fields;
  const byName = new Map(fields.map((field) => [field.name, field]));
  const told = { type: "utilization_monitor", data, totals, stalled, ...others };
  return {
    status: told as unknown as MetricSource["status"],
    fields: new Map(Object.keys(totals).map((name) => [name, byName])),
  };
}

function render(
  told: readonly Told[],
  { format = "text", ...options }: CollectOptions & { readonly format?: MetricsFormat } = {},
): string {
  return formatFamilies(collectFamilies(told.map(source), options), format);
}

/** The lines that are not about the monitor itself. */
function lines(told: Told, format: MetricsFormat): string[] {
  const text = render([told], { format, namespace: "" });
  assert.ok(text.endsWith("\n"));
  return text.split("\n").filter((line) => line !== "" && !/\butilization_/.test(line));
}

/** All samples, without heads. */
function samples(told: Told, options: CollectOptions = {}): string[] {
  return render([told], options)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
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
  it("tell who may leak, by field, and what each worker says of itself", () => {
    const data = { requests_active: 5n };
    const conflicts: string[] = [];
    const told: Told = {
      data: { web: { ...data, worker_count: 3 }, api: { worker_count: 1 } },
      totals: { web: { worker_count: 3 }, api: { worker_count: 1 } },
      leaking: { web: { requests_active: 2, 'jobs"': 1 } },
      workers: [
        { service: "web", slot: 0, data, text: { version: "1.2.3", "git-commit": 'a"\\\n' } },
        {
          service: "web",
          slot: 1,
          data,
          text: { slot: "7", __name__: "x", le: "1", "a-b": "1", a_b: "2" },
        },
        { service: "web", slot: 2, data },
      ],
    };
    const onConflict = (service: string, field: string) => conflicts.push(`${service} ${field}`);
    const found = samples(told, { onConflict, namespace: "app" });
    assert.deepEqual(
      found.filter((line) => /leaking|_info\{s/.test(line)),
      [
        'app_leaking_workers{service="web",field="requests_active"} 2',
        'app_leaking_workers{service="web",field="jobs\\""} 1',
        'app_worker_info{service="web",slot="0",version="1.2.3",git_commit="a\\"\\\\\\n"} 1',
        'app_worker_info{service="web",slot="1",a_b="1"} 1',
      ],
    );
    assert.deepEqual(conflicts, ["web slot", "web __name__", "web le", "web a_b"]);
    const { workers: _, ...withoutWorkers } = told;
    assert.doesNotMatch(samples(withoutWorkers).join("\n"), /worker_info/);
  });

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
    const text = render([{ ...told, totals }], { limitsReached: { workers: 3 } });
    for (const line of [
      'utilization_workers{service="web"} 2',
      'utilization_workers{service="gone"} 0',
      'utilization_stalled_workers{service="web"} 1',
      'utilization_stalled_workers{service="gone"} 0',
      'utilization_limits_reached_total{limit="workers"} 3',
      'utilization_requests_total{service="gone"} 9',
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
    const text = render([{ data, totals }], {
      format: "openmetrics",
      namespace: "",
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

  it("are of services or of workers, never of both under one name", () => {
    const data = { web: { worker_jobs: 1, jobs: 2, worker_count: 1 } };
    const conflicts: string[][] = [];
    const text = render(
      [
        {
          data,
          totals: { web: { worker_count: 1 } },
          workers: [{ slot: 0, service: "web", data: { worker_jobs: 1, jobs: 2 } }],
        },
      ],
      { namespace: "app", onConflict: (...names) => conflicts.push(names) },
    );
    assert.deepEqual(conflicts, [["web", "jobs"]]);
    assert.match(text, /^app_worker_jobs\{service="web"\} 1$/m);
    assert.doesNotMatch(text, /^app_worker_jobs\{.*slot/m);
  });

  it("tell the monitors apart where there are several", () => {
    const text = render([WEB, WEB]);
    assert.match(text, /^utilization_delay\{service="web",monitor="1"\} 0.25$/m);
    assert.match(text, /^utilization_delay\{service="web",monitor="2"\} 0.25$/m);
  });

  it("begin with the namespace, and those of workers with it and their slot", () => {
    const workers = [
      { slot: 0, service: "web", data: { requests_total: 2n, memory_bytes: 1n, delay: 0.25 } },
      { slot: 7, service: "web", data: { requests_total: 3n, memory_bytes: 2n, delay: 0.125 } },
    ];
    assert.deepEqual(
      samples({ ...WEB, workers }, { namespace: "app" }).filter((line) =>
        /worker_|requests/.test(line),
      ),
      [
        'app_requests_total{service="web"} 18446744073709551617',
        'app_worker_requests_total{service="web",slot="0"} 2',
        'app_worker_requests_total{service="web",slot="7"} 3',
        'app_worker_memory_bytes{service="web",slot="0"} 1',
        'app_worker_memory_bytes{service="web",slot="7"} 2',
        'app_worker_delay{service="web",slot="0"} 0.25',
        'app_worker_delay{service="web",slot="7"} 0.125',
      ],
    );
    assert.match(render([WEB], { namespace: "" }), /^utilization_workers\{service="web"\} 2$/m);
    for (const namespace of ["7up", "a b", "a-b", "a:b", "x".repeat(101)]) {
      assert.throws(() => render([WEB], { namespace }), {
        name: "RangeError",
        message: /^Cannot use namespace "/,
      });
    }
  });

  it("say what the monitor and its supervisor did", () => {
    const statistics = {
      segments: 64,
      segmentsUsed: 3,
      segmentSize: 512,
      samples: 9,
      sampleSeconds: 0.5,
      registrations: 4,
      removals: 1,
      rejectedFields: 2,
    };
    const families = collectFamilies([{ ...source(WEB), statistics }], { restarts: { web: 5 } });
    const text = formatFamilies(families, "openmetrics");
    for (const line of [
      `utilization_build_info{version="${VERSION}"} 1`,
      'utilization_restarts_total{service="web"} 5',
      "utilization_segments 64",
      "utilization_segments_used 3",
      "# UNIT utilization_segment_size_bytes bytes",
      "utilization_segment_size_bytes 512",
      "# TYPE utilization_sample_duration_seconds summary",
      "utilization_sample_duration_seconds_sum 0.5",
      "utilization_sample_duration_seconds_count 9",
      "utilization_worker_registrations_total 4",
      "utilization_worker_removals_total 1",
      "utilization_rejected_fields_total 2",
    ]) {
      assert.ok(text.includes(`${line}\n`), line);
    }
    assert.equal(text.match(/# HELP/g)!.length, text.match(/# TYPE/g)!.length);
  });

  describe("of histograms", () => {
    const part = (le: string) => ({ type: "u64", kind: "counter", histogram: "wait", le }) as const;
    const schema: SchemaDefinition = {
      "wait_bucket_0.5": part("0.5"),
      wait_bucket_inf: part("+Inf"),
      "wait_bucket_0.25": part("0.25"),
      wait_sum: { type: "f64", kind: "counter", histogram: "wait", help: "How long." },
    };
    const values = {
      "wait_bucket_0.5": 2n,
      wait_bucket_inf: 3n,
      "wait_bucket_0.25": 1n,
      wait_sum: 4.5,
      worker_count: 1,
    };

    it("add up the buckets, by their bounds", () => {
      assert.deepEqual(lines({ schema, data: { web: values }, totals: { web: values } }, "text"), [
        "# HELP wait How long.",
        "# TYPE wait histogram",
        'wait_bucket{service="web",le="0.25"} 1',
        'wait_bucket{service="web",le="0.5"} 3',
        'wait_bucket{service="web",le="+Inf"} 6',
        'wait_sum{service="web"} 4.5',
        'wait_count{service="web"} 6',
      ]);
    });

    it("write bounds as Prometheus does, and have no sum where something is below 0", () => {
      const [small, least] = [part("1e-07"), part("-1")];
      const bounds = { a: small, b: least, wait_sum: schema.wait_sum! };
      const counts = { a: 1n, b: 2n, wait_sum: 5, worker_count: 1 };
      const told = samples({ schema: bounds, data: { web: counts }, totals: { web: counts } });
      assert.deepEqual(told.slice(-4), [
        'utilization_wait_bucket{service="web",le="-1"} 2',
        'utilization_wait_bucket{service="web",le="1e-07"} 3',
        'utilization_wait_bucket{service="web",le="+Inf"} 3',
        'utilization_wait_count{service="web"} 3',
      ]);
    });

    it("go on without workers, without a sum, and without a bucket that is no count", () => {
      const { wait_sum, ...counts } = { ...values, "wait_bucket_0.5": -1n };
      const { wait_sum: sum, ...buckets } = schema as Record<string, SchemaDefinition[string]>;
      assert.deepEqual(samples({ schema: buckets, totals: { web: counts } }).slice(-4), [
        'utilization_wait_bucket{service="web",le="0.25"} 1',
        'utilization_wait_bucket{service="web",le="0.5"} 1',
        'utilization_wait_bucket{service="web",le="+Inf"} 4',
        'utilization_wait_count{service="web"} 4',
      ]);
      const infinite = { ...values, wait_sum: Number.POSITIVE_INFINITY };
      assert.doesNotMatch(render([{ schema, totals: { web: infinite } }]), /wait_sum/);
    });

    it("are those of one worker where workers are told", () => {
      const { worker_count, ...own } = values;
      const workers = [{ slot: 4, service: "web", data: own }];
      const told = { schema, data: { web: values }, totals: { web: values }, workers };
      assert.deepEqual(samples(told).slice(-2), [
        'utilization_worker_wait_sum{service="web",slot="4"} 4.5',
        'utilization_worker_wait_count{service="web",slot="4"} 6',
      ]);
    });

    it("have all names of their samples to themselves", () => {
      const conflicts: string[][] = [];
      const more = { ...values, wait_count: 5, wait: 6 };
      const text = render([{ schema, data: { web: more }, totals: { web: values } }], {
        onConflict: (...names) => conflicts.push(names),
      });
      assert.deepEqual(conflicts, [
        ["web", "wait_count"],
        ["web", "wait"],
      ]);
      assert.equal(text.match(/^utilization_wait_count/gm)!.length, 1);
    });
  });
});
