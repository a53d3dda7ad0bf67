import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterTest, type Test } from "./after_test.ts";

/** A data point as OTLP has it in JSON. */
export interface Point {
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number;
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
}

/** One metric of a request. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly kind: "sum" | "gauge";
  readonly isMonotonic: boolean | undefined;
  readonly isCumulative: boolean | undefined;
  readonly points: readonly Point[];
}

interface OtlpPoint {
  readonly attributes: readonly { readonly key: string; readonly value: { stringValue: string } }[];
  readonly asDouble?: number;
  readonly asInt?: number | string;
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
}

interface OtlpMetric {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly sum?: {
    readonly aggregationTemporality: number;
    readonly isMonotonic: boolean;
    readonly dataPoints: readonly OtlpPoint[];
  };
  readonly gauge?: { readonly dataPoints: readonly OtlpPoint[] };
}

interface OtlpRequest {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: OtlpPoint["attributes"] };
    readonly scopeMetrics: readonly { readonly metrics: readonly OtlpMetric[] }[];
  }[];
}

/** Takes what an OTLP exporter sends over HTTP in JSON. */
export class OtlpReceiver {
  /** The resource's attributes of the last request. */
  resource: Readonly<Record<string, string>> = {};
  /** The metrics of the last request. */
  metrics: readonly Metric[] = [];
  requests = 0;
  readonly url: string;

  private constructor(url: string) {
    this.url = url;
  }

  static async listen(test: Test): Promise<OtlpReceiver> {
    const server = createServer(async (request, response) => {
      let text = "";
      for await (const piece of request.setEncoding("utf8")) text += piece;
      // Runtimes export logs and traces of their own.
      if (!/\/v1\/(logs|traces)$/.test(request.url ?? "")) receiver.#take(JSON.parse(text));
      response.setHeader("content-type", "application/json").end("{}");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    afterTest(test, () => {
      server.close();
      server.closeAllConnections();
    });
    const receiver = new OtlpReceiver(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    );
    return receiver;
  }

  #take({ resourceMetrics: [first] }: OtlpRequest): void {
    this.resource = recordOf(first!.resource.attributes);
    // Runtimes export histograms of their own.
    this.metrics = first!.scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .filter(({ sum, gauge }) => (sum ?? gauge) !== undefined)
      .map(metricOf);
    this.requests++;
  }

  /** The one metric of this name. */
  metric(name: string): Metric {
    const found = this.metrics.filter((metric) => metric.name === name);
    if (found.length !== 1) throw new Error(`${found.length} metrics are called ${name}`);
    return found[0]!;
  }

  /** The one point of a metric that has the attributes; undefined if there is none. */
  point(name: string, attributes: Readonly<Record<string, string>>): Point | undefined {
    const expected = Object.entries(attributes);
    const found = this.metric(name).points.filter(({ attributes }) =>
      expected.every(([key, value]) => attributes[key] === value),
    );
    if (found.length > 1) throw new Error(`${found.length} points of ${name} are alike`);
    return found[0];
  }
}

function metricOf({ name, unit, description, sum, gauge }: OtlpMetric): Metric {
  return {
    name,
    unit,
    description,
    kind: sum === undefined ? "gauge" : "sum",
    isMonotonic: sum?.isMonotonic,
    isCumulative: sum && sum.aggregationTemporality === 2,
    points: (sum ?? gauge)!.dataPoints.map((point) => ({
      attributes: recordOf(point.attributes),
      value: Number(point.asDouble ?? point.asInt),
      startTimeUnixNano: point.startTimeUnixNano,
      timeUnixNano: point.timeUnixNano,
    })),
  };
}

function recordOf(attributes: OtlpPoint["attributes"]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
}
