// A frame as a line of JSON, for scripts.

import { exactJson } from "../../exact_json.ts";
import { type Frame, isStalled, type Values } from "../frame.ts";
import { type Column, columnsOf, valueIn } from "./columns.ts";
import { allRows, type Row } from "./rows.ts";
import { isShare } from "./units.ts";

/** All values with all their digits, and the rates of the counters that were seen before. */
export function jsonLine(frame: Frame, time: Date): string {
  const shares = columnsOf(frame).filter(({ kind, field }) => kind === "value" && isShare(field));
  const services: Record<string, unknown> = Object.create(null);
  const workers: unknown[] = [];
  for (const row of allRows(frame)) {
    const { service, worker } = row;
    if (worker === null) {
      services[service.name] = {
        worker_count: service.workerCount,
        stalled_count: service.stalledCount,
        text: service.text,
        ...valuesOf(service),
        utilization: sharesOf(row, shares),
      };
    } else {
      const { id, processId, mapping, stalledFor, text, leaking } = worker;
      const is = { id, processId, service: service.name, mapping, stalledFor, text, leaking };
      workers.push({ ...is, stalled: isStalled(worker), ...valuesOf(worker) });
    }
  }
  return exactJson({ time: time.toISOString(), services, workers });
}

function valuesOf({ values, rates, histograms }: Values): object {
  return {
    values: Object.fromEntries(values),
    rates: Object.fromEntries(rates),
    ...(histograms.size > 0 && { histograms: Object.fromEntries(histograms) }),
  };
}

/** What part of the time, or of whatever they are a part of, the workers were busy. */
function sharesOf(row: Row, columns: readonly Column[]): object {
  return Object.fromEntries(columns.map((column) => [column.field, valueIn(column, row)]));
}
