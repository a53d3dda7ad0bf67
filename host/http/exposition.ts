// What a monitor knows as metrics: the text format 0.0.4 and OpenMetrics 1.0.

import type { Field } from "../field.ts";
import type { Status } from "../sample.ts";
import type { Value } from "../sampler.ts";
import type { MetricsFormat } from "./negotiation.ts";

/** What there is to tell, of one moment. */
export interface Source {
  /** With totals; integers as bigints. */
  readonly status: Status;
  readonly fields: ReadonlyMap<string, ReadonlyMap<string, Field>>;
}

export interface MetricsOptions {
  readonly format: MetricsFormat;
  /** How often each limit was reached. */
  readonly limitsReached?: Readonly<Record<string, number>> | undefined;
  /** A field cannot be told: another of the same name is of another kind, or of the same service. */
  readonly onConflict?: (service: string, field: string) => void;
}

type MetricType = "counter" | "gauge";

/** All samples of one name. */
interface Family {
  /** Of each sample: a counter's ends in `_total`. */
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly unit: string | undefined;
  /** Values by labels. */
  readonly samples: Map<string, Value>;
}

const GAUGE_HELP: Readonly<Record<Field["aggregate"], string>> = {
  sum: "Sum over the workers of a service.",
  min: "Lowest among the workers of a service.",
  max: "Highest among the workers of a service.",
  last: "Value of the newest worker of a service.",
};
const COUNTER_HELP = "Total of all workers that a service ever had.";
/** Added by the monitor; told as `utilization_workers`. */
const WORKER_COUNT = "worker_count";

/** The whole text of one scrape. */
export function renderMetrics(sources: readonly Source[], options: MetricsOptions): string {
  const families = new Families();
  const workers = families.own("utilization_workers", "gauge", "Workers of a service that live.");
  const stalled = families.own(
    "utilization_stalled_workers",
    "gauge",
    "Workers of a service whose event loop stands still.",
  );
  if (options.limitsReached !== undefined) {
    const name = "utilization_limits_reached_total";
    const family = families.own(name, "counter", "How often workers wanted more than they may.");
    for (const [limit, count] of Object.entries(options.limitsReached)) {
      family.samples.set(labelled("limit", limit), count);
    }
  }
  sources.forEach(({ status, fields }, index) => {
    // Two monitors may have services of one name.
    const more = sources.length > 1 ? `,${labelled("monitor", String(index + 1))}` : "";
    for (const [service, counters] of Object.entries(status.totals ?? status.data)) {
      const labels = labelled("service", service) + more;
      const live: Readonly<Record<string, Value>> = status.data[service] ?? {};
      const declared = fields.get(service);
      workers.samples.set(labels, live[WORKER_COUNT] ?? 0);
      stalled.samples.set(labels, status.stalled[service] ?? 0);
      const tell = (type: MetricType, name: string, value: Value): void => {
        const isTold = families.add(type, name, declared?.get(name), labels, value);
        if (!isTold) options.onConflict?.(service, name);
      };
      for (const [name, value] of Object.entries(counters)) {
        // What is no count, because a stranger wrote it, would make the whole scrape invalid.
        if (name !== WORKER_COUNT && value >= 0) tell("counter", name, value);
      }
      for (const [name, value] of Object.entries(live)) {
        if (name !== WORKER_COUNT && !Object.hasOwn(counters, name)) tell("gauge", name, value);
      }
    }
  });
  return families.text(options.format);
}

class Families {
  readonly #byName: Map<string, Family> = new Map();

  own(name: string, type: MetricType, help: string): Family {
    const family: Family = { name, type, help, unit: undefined, samples: new Map() };
    this.#byName.set(name, family);
    return family;
  }

  /** False where the name is taken. */
  add(
    type: MetricType,
    field: string,
    declared: Field | undefined,
    labels: string,
    value: Value,
  ): boolean {
    const name = metricName(field, type);
    let family = this.#byName.get(name);
    if (family === undefined) {
      const help = declared?.help ?? defaultHelp(type, declared);
      family = { name, type, help, unit: declared?.unit, samples: new Map() };
      this.#byName.set(name, family);
    }
    if (family.type !== type || family.samples.has(labels)) return false;
    family.samples.set(labels, value);
    return true;
  }

  text(format: MetricsFormat): string {
    let text = "";
    for (const family of this.#byName.values()) {
      if (family.samples.size === 0) continue;
      text += format === "text" ? plainHead(family) : this.#openMetricsHead(family);
      for (const [labels, value] of family.samples) {
        text += `${family.name}{${labels}} ${numberText(value)}\n`;
      }
    }
    return format === "text" ? text : `${text}# EOF\n`;
  }

  #openMetricsHead({ name, type, help, unit }: Family): string {
    const base = type === "counter" ? name.slice(0, -"_total".length) : name;
    // A family is called without `_total`, and owns `_created`: others may have these names already.
    const isTaken =
      type === "counter" &&
      ["", "_created", "_created_total"].some((suffix) => this.#byName.has(base + suffix));
    const family = isTaken ? name : base;
    const isUnit = unit !== undefined && /^\w+$/.test(unit) && family.endsWith(`_${unit}`);
    return (
      `# TYPE ${family} ${isTaken ? "unknown" : type}\n` +
      (isUnit ? `# UNIT ${family} ${unit}\n` : "") +
      `# HELP ${family} ${escaped(help)}\n`
    );
  }
}

function plainHead({ name, type, help }: Family): string {
  // Here quotes stay as they are.
  const text = /[\\\n]/.test(help) ? help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n") : help;
  return `# HELP ${name} ${text}\n# TYPE ${name} ${type}\n`;
}

function defaultHelp(type: MetricType, declared: Field | undefined): string {
  return type === "counter" ? COUNTER_HELP : GAUGE_HELP[declared?.aggregate ?? "sum"];
}

/** The name of a field in the alphabet of metrics. */
function metricName(field: string, type: MetricType): string {
  const name = /^[a-z_:][\w:]*$/i.test(field)
    ? field
    : field.replace(/[^\w:]/g, "_").replace(/^(?=\d)/, "_");
  return type === "counter" && !name.endsWith("_total") ? `${name}_total` : name;
}

function labelled(name: string, value: string): string {
  return `${name}="${escaped(value)}"`;
}

function escaped(text: string): string {
  return /[\\"\n]/.test(text)
    ? text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
    : text;
}

/** Integers with all their digits. */
function numberText(value: Value): string {
  if (typeof value === "bigint" || Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}
