// The part of @opentelemetry/api that is used here, so that it is no dependency. Its types fit these.

export type Attributes = Readonly<Record<string, string>>;

export interface InstrumentOptions {
  description?: string;
  unit?: string;
}

/** Called in each collection. What it is told goes to one instrument, or to those of the batch. */
export interface Observable {
  addCallback(callback: () => void): void;
  removeCallback(callback: () => void): void;
}

export interface BatchResult {
  observe(instrument: Observable, value: number, attributes?: Attributes): void;
}

export type BatchCallback = (result: BatchResult) => void;

/** A `Meter` of `@opentelemetry/api`, 1.4 or later. */
export interface Meter {
  createObservableCounter(name: string, options?: InstrumentOptions): Observable;
  createObservableGauge(name: string, options?: InstrumentOptions): Observable;
  addBatchObservableCallback(callback: BatchCallback, instruments: Observable[]): void;
  removeBatchObservableCallback(callback: BatchCallback, instruments: Observable[]): void;
}
