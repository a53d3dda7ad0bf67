// The rows of the table: services, and below each its workers; filtered, and in order.

import { type Frame, isLeaking, isStalled, type ServiceFrame, type WorkerFrame } from "../frame.ts";
import { type Column, saidIn, valueIn } from "./columns.ts";

export interface Row {
  readonly key: string;
  readonly service: ServiceFrame;
  /** Null in the row of the service itself. */
  readonly worker: WorkerFrame | null;
  /** What the service or the worker is called; foreign text. */
  readonly name: string;
}

export interface Order {
  readonly column: Column;
  readonly isDescending: boolean;
}

export interface RowOptions {
  /** Text that a service or a worker must have to be shown. */
  readonly filter: string;
  /** Without one they are in the order in which they came. */
  readonly order: Order | null;
  readonly isOpen: (service: string) => boolean;
}

/** Every row there is. */
export function allRows({ services }: Frame): Row[] {
  return services.flatMap((service) => [serviceRow(service), ...workerRows(service)]);
}

/** The rows that are wanted. */
export function rowsOf({ services }: Frame, { filter, order, isOpen }: RowOptions): Row[] {
  const words = filter.toLowerCase();
  const rows = sorted(services.map(serviceRow), order);
  return rows.flatMap((row) => {
    const { service } = row;
    const isWanted = service.name.toLowerCase().includes(words);
    if (isWanted)
      return isOpen(service.name) ? [row, ...sorted(workerRows(service), order)] : [row];
    const wanted = workerRows(service).filter((worker) => workerWords(worker).includes(words));
    return wanted.length > 0 ? [row, ...sorted(wanted, order)] : [];
  });
}

function serviceRow(service: ServiceFrame): Row {
  const { name } = service;
  return { key: `service ${name}`, service, worker: null, name };
}

function workerRows(service: ServiceFrame): Row[] {
  const seen = new Set<number | null>();
  const shared = new Set<number | null>();
  for (const { processId } of service.workers) {
    (seen.has(processId) ? shared : seen).add(processId);
  }
  return service.workers.map((worker) => {
    const { id, processId } = worker;
    const key = `worker ${id} ${processId} ${service.name}`;
    // Threads of one process are told apart by their numbers.
    const isShared = processId === null || shared.has(processId);
    const name =
      processId === null ? `worker #${id}` : `pid ${processId}${isShared ? ` #${id}` : ""}`;
    return { key, service, worker, name };
  });
}

/** Workers that stand still, the longest first. */
export function stalledRows(frame: Frame): Row[] {
  return allRows(frame)
    .filter(({ worker }) => worker !== null && isStalled(worker))
    .sort((a, b) => b.worker!.stalledFor! - a.worker!.stalledFor!);
}

/** Workers that may leak, as they come. */
export function leakingRows(frame: Frame): Row[] {
  return allRows(frame).filter(({ worker }) => worker !== null && isLeaking(worker));
}

function workerWords({ name, worker }: Row): string {
  const words = [name];
  if (isStalled(worker!)) words.push("stalled");
  if (isLeaking(worker!)) words.push("leaking");
  if (worker!.mapping === "none") words.push("unmapped");
  words.push(...Object.values(worker!.text ?? {}).map((text) => text.toLowerCase()));
  return words.join("\n");
}

/** Who has nothing in the column comes last, in either direction. */
function sorted(rows: Row[], order: Order | null): Row[] {
  if (order === null) return rows;
  const { column, isDescending } = order;
  const value = (row: Row): number | bigint | string => {
    if (column.kind === "text") return saidIn(column, row) ?? Number.NaN;
    if (column.kind !== "name") return valueIn(column, row) ?? Number.NaN;
    return row.worker === null ? row.service.name : (row.worker.processId ?? row.worker.id);
  };
  const direction = isDescending ? -1 : 1;
  return rows
    .map((row) => ({ row, value: value(row) }))
    .sort((a, b) => {
      const [aMissing, bMissing] = [Number.isNaN(a.value), Number.isNaN(b.value)];
      if (aMissing || bMissing) return Number(aMissing) - Number(bMissing);
      return a.value < b.value ? -direction : a.value > b.value ? direction : 0;
    })
    .map(({ row }) => row);
}
