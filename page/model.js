// What is shown of each report: values, how fast counters rise, and how both went.

/** @import { Value } from "./json.js" */
/** @import { Parts } from "./histogram.js" */
/** @import { Quantity } from "./format.js" */
/** @import { Report } from "./source.js" */

import { fieldsOf, histogramsIn, observed } from "./histogram.js";

/**
 * @typedef {Record<string, Value>} Data
 *
 * @typedef {object} WorkerStatus
 * @property {number} id
 * @property {number | null} processId
 * @property {string} service
 * @property {string} mapping
 * @property {number | null} stalledFor
 * @property {Record<string, string>} [text]
 * @property {Record<string, Value>} [leaking]
 * @property {Data} data
 *
 * @typedef {object} Status
 * @property {Record<string, Data>} data
 * @property {Record<string, number>} stalled
 * @property {Record<string, Record<string, string>>} [text]
 * @property {Record<string, Record<string, Value>>} [leaking]
 * @property {Record<string, Data>} [totals]
 * @property {WorkerStatus[]} [workers]
 *
 * @typedef {object} Declaration how a field is declared.
 * @property {string} kind
 * @property {string} aggregate
 * @property {string} [unit]
 * @property {string} [help]
 */

/** For how long the past is kept, in seconds. */
export const WINDOW = 300;
/** A gap in time that a line does not bridge. */
const GAP = 5;
/** A rate over less time says little: the last one stays. */
const SHORTEST = 0.5;
/** Not fields of a schema. */
const WORKER_COUNT = "worker_count";

/** A field of one service, and its past. */
export class Field {
  /** @type {Value | undefined} */
  value;
  /** Per second; only of counters. @type {number | undefined} */
  rate;
  /** What the chart shows: the rate of a counter, else the value. @type {number | null} */
  shown = null;
  /** @type {number[]} */
  times = [];
  /** @type {(number | null)[]} */
  points = [];
  /** What the next rate counts from. @type {{value: Value | undefined, time: number} | null} */
  #base = null;
  /** @type {{data: Data, time: number} | null} */
  #counters = null;
  /** What a histogram is held by. @type {Parts | null} */
  parts = null;
  /** What a histogram has observed since the look before. @type {{p50?: number | undefined, p90?: number | undefined}} */
  quantiles = {};

  /** @param {string} name @param {boolean} isCounter @param {Declaration | undefined} declaration */
  constructor(name, isCounter, declaration) {
    this.name = name;
    this.isCounter = isCounter;
    this.declaration = declaration;
  }

  /** @returns {Quantity} */
  get quantity() {
    const words = `${this.declaration?.unit ?? ""}_${this.name.replace(/_total$/, "")}`;
    if (!this.isCounter && /_(utilization|ratio)$/.test(words)) return "ratio";
    if (/^bytes_|_bytes$|^_bytes_/.test(words)) return "bytes";
    if (/^seconds_|_seconds$/.test(words)) return "seconds";
    return "count";
  }

  /** How the workers' values are combined. */
  get aggregate() {
    return this.declaration?.aggregate ?? "sum";
  }

  /** Whether what is shown is the mean of the workers: how much of all of them is used. */
  get isMean() {
    return this.parts === null && this.quantity === "ratio" && this.aggregate === "sum";
  }

  /** @param {Value | undefined} value @param {number} time @param {number} workers */
  update(value, time, workers) {
    this.value = value;
    const seconds = time - (this.#base?.time ?? 0);
    if (Math.abs(seconds) < SHORTEST) return;
    if (this.isCounter) {
      // A supervisor that forgot, a new one, or a clock that was set back: no rate to tell.
      const rise = this.#base === null ? -1 : difference(value, this.#base.value);
      this.rate = rise >= 0 && seconds > 0 ? rise / seconds : undefined;
      this.shown = this.rate ?? null;
    } else {
      const number = value === undefined || value === null ? null : Number(value);
      this.shown = this.isMean && number !== null ? number / Math.max(1, workers) : number;
    }
    this.#base = { value, time };
    this.#remember(time);
  }

  /** Of a histogram: what is shown is its 99th percentile. @param {Data} counters @param {number} time */
  observe(counters, time) {
    const seconds = time - (this.#counters?.time ?? 0);
    if (this.parts === null || Math.abs(seconds) < SHORTEST) return;
    const { data } = this.#counters ?? {};
    const since =
      data === undefined || seconds < 0
        ? undefined
        : observed(
            this.parts,
            (field) => counters[field],
            (field) => data[field],
          );
    this.quantiles = { p50: since?.quantile(0.5), p90: since?.quantile(0.9) };
    this.value = since?.quantile(0.99);
    this.rate = since === undefined ? undefined : since.total / seconds;
    this.shown = this.value ?? null;
    this.#counters = { data: counters, time };
    this.#remember(time);
  }

  /** @param {number} time */
  #remember(time) {
    const { times, points } = this;
    // A clock that was set back: what is still to come cannot be the past.
    while ((times.at(-1) ?? Number.NEGATIVE_INFINITY) >= time) {
      times.pop();
      points.pop();
    }
    const last = times.at(-1);
    if (last !== undefined && time - last > GAP) {
      times.push(last + 0.001);
      points.push(null);
    }
    times.push(time);
    points.push(this.shown);
    while ((times[0] ?? time) < time - WINDOW) {
      times.shift();
      points.shift();
    }
  }
}

/** @param {Value | undefined} value @param {Value | undefined} before */
function difference(value, before) {
  if (typeof value === "bigint" && typeof before === "bigint") return Number(value - before);
  return Number(value ?? Number.NaN) - Number(before ?? Number.NaN);
}

/**
 * What is called so, and not what every object has: strangers choose the names of services.
 *
 * @template T
 * @param {Record<string, T>} record
 * @param {string} name
 */
function own(record, name) {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** A service, and its workers where they were asked for. */
export class Service {
  workerCount = 0;
  stalledCount = 0;
  /** Of the field with the most of them. */
  leakingCount = 0;
  /** What its newest worker says of itself. @type {Record<string, string>} */
  text = {};
  /** @type {Map<string, Field>} */
  fields = new Map();
  /** @type {Worker[]} */
  workers = [];

  /** @param {string} key @param {string} name */
  constructor(key, name) {
    this.key = key;
    this.name = name;
  }
}

/** One worker. */
export class Worker {
  /** @type {Map<string, Value>} */
  values = new Map();
  /** Of counters how much per second, of histograms the 99th percentile. @type {Map<string, number>} */
  rates = new Map();
  /** @type {number | null} */
  stalledFor = null;
  mapping = "unknown";
  /** What it says of itself. @type {Record<string, string>} */
  text = {};
  /** The least that it has in flight, by field. @type {Record<string, Value>} */
  leaking = {};
  /** What the next rates count from. @type {{values: Map<string, Value>, time: number} | null} */
  #base = null;

  /** @param {number} id @param {number | null} processId */
  constructor(id, processId) {
    this.id = id;
    this.processId = processId;
  }

  get isStalled() {
    return this.stalledFor !== null && this.stalledFor > 0;
  }

  get isLeaking() {
    return Object.keys(this.leaking).length > 0;
  }

  /** @param {WorkerStatus} status @param {number} time @param {Service} service */
  update({ data, stalledFor, mapping, text = {}, leaking = {} }, time, { fields }) {
    this.text = text;
    this.leaking = leaking;
    this.stalledFor = stalledFor;
    this.mapping = mapping;
    this.values = new Map(Object.entries(data));
    const seconds = time - (this.#base?.time ?? 0);
    if (Math.abs(seconds) < SHORTEST) return;
    if (seconds < 0) this.rates.clear();
    for (const [name, value] of this.values) {
      const before = this.#base?.values.get(name);
      if (seconds > 0 && fields.get(name)?.isCounter && before !== undefined) {
        this.rates.set(name, Math.max(0, difference(value, before)) / seconds);
      }
    }
    for (const { name, parts } of fields.values()) {
      if (parts === null || this.#base === null) continue;
      const { values } = this.#base;
      const since = observed(
        parts,
        (field) => this.values.get(field),
        (field) => values.get(field),
      );
      const high = seconds > 0 ? since?.quantile(0.99) : undefined;
      if (high === undefined) this.rates.delete(name);
      else this.rates.set(name, high);
    }
    this.#base = { values: this.values, time };
  }
}

export class Model {
  /** By monitor and name. @type {Map<string, Service>} */
  services = new Map();
  /** @type {Map<string, Declaration>} */
  #declarations = new Map();
  /** @type {Map<string, Worker>} */
  #workers = new Map();
  /** When the last report was made, in seconds. */
  time = 0;

  /** Fields that are not declared yet are shown without unit and aggregate. */
  hasUndeclared = false;

  /** @param {Record<string, Record<string, Declaration>>[]} monitors */
  declare(monitors) {
    for (const [index, services] of monitors.entries()) {
      for (const [service, fields] of Object.entries(services)) {
        for (const [name, declaration] of Object.entries(fields)) {
          const key = JSON.stringify([index, service, name]);
          this.#declarations.set(key, declaration);
          const field = this.services.get(JSON.stringify([index, service]))?.fields.get(name);
          if (field !== undefined) field.declaration = declaration;
        }
      }
    }
  }

  /** @param {Report} report */
  update({ time, status }) {
    this.time = Date.parse(time) / 1000;
    this.hasUndeclared = false;
    /** @type {Map<string, Service>} */
    const services = new Map();
    /** @type {Map<string, Worker>} */
    const workers = new Map();
    for (const [index, monitor] of status.entries()) {
      const { data, stalled, text = {}, leaking = {}, totals = {}, workers: list = [] } = monitor;
      for (const name of new Set([...Object.keys(totals), ...Object.keys(data)])) {
        const key = JSON.stringify([index, name]);
        const service = this.services.get(key) ?? new Service(key, name);
        services.set(key, service);
        const live = own(data, name) ?? {};
        service.workerCount = Number(live[WORKER_COUNT] ?? 0);
        service.stalledCount = own(stalled, name) ?? 0;
        service.leakingCount = Math.max(0, ...Object.values(own(leaking, name) ?? {}).map(Number));
        service.text = own(text, name) ?? {};
        service.workers = [];
        this.#updateFields(service, index, live, own(totals, name) ?? {});
      }
      for (const worker of list) {
        const key = JSON.stringify([index, worker.service]);
        const service = services.get(key);
        if (service === undefined) continue;
        const { id, processId } = worker;
        // Another supervisor gives the same ids to others.
        const whose = JSON.stringify([index, id, processId, worker.service]);
        const known = this.#workers.get(whose) ?? new Worker(id, processId);
        workers.set(whose, known);
        known.update(worker, this.time, service);
        service.workers.push(known);
      }
    }
    this.services = services;
    this.#workers = workers;
  }

  /** @param {Service} service @param {number} index @param {Data} data @param {Data} totals */
  #updateFields(service, index, data, totals) {
    /** @type {Map<string, Field>} */
    const fields = new Map();
    const histograms = histogramsIn(Object.keys(totals));
    const parts = new Set(histograms.flatMap(fieldsOf));
    for (const name of new Set([...Object.keys(data), ...Object.keys(totals)])) {
      if (name === WORKER_COUNT || parts.has(name)) continue;
      const isCounter = Object.hasOwn(totals, name);
      const declaration = this.#declarations.get(JSON.stringify([index, service.name, name]));
      if (declaration === undefined && Object.hasOwn(data, name)) this.hasUndeclared = true;
      const known = service.fields.get(name);
      const field =
        known?.isCounter === isCounter ? known : new Field(name, isCounter, declaration);
      field.update(isCounter ? totals[name] : data[name], this.time, service.workerCount);
      fields.set(name, field);
    }
    for (const parts of histograms) {
      const { name } = parts;
      const declaration = this.#declarations.get(
        JSON.stringify([index, service.name, `${name}_sum`]),
      );
      if (declaration === undefined && Object.hasOwn(data, `${name}_sum`))
        this.hasUndeclared = true;
      const known = service.fields.get(name);
      const field = known?.parts ? known : new Field(name, false, declaration);
      field.parts = parts;
      field.declaration ??= declaration;
      field.observe(totals, this.time);
      fields.set(name, field);
    }
    service.fields = fields;
  }
}
