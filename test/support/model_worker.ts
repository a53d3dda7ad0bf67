import { closeSync, openSync, writeSync } from "node:fs";
import { sizeOf } from "../../host/field_type.ts";
import type { Row } from "../../host/schema.ts";
import type { WorkerController } from "../../host/worker_controller.ts";
import type { Content, Lifetime, ModelField } from "./model.ts";

/**
 * One connection of a worker without a process. It writes to the file that it was told for as long
 * as the test lasts; when and what it answers is up to the test.
 */
export class ModelWorker implements WorkerController {
  readonly id: number;
  readonly processId: number | null = null;
  readonly state: Readonly<Record<string, unknown>>;
  readonly content: Content;
  /** Resolves when it has been told its place. */
  readonly asked: Promise<void>;
  readonly worker: WorkerController["worker"];
  offset: number | null = null;
  #descriptor: number | null = null;
  #answer!: (rows: readonly Row[] | null) => void;
  #fail!: (error: Error) => void;

  constructor(id: number, { service, incarnation }: Lifetime, content: Content) {
    this.id = id;
    this.state = { name: service, ...(incarnation !== null && { incarnation }) };
    this.content = content;
    const answer = new Promise((resolve, reject) => {
      this.#answer = resolve;
      this.#fail = reject;
    });
    let tell!: () => void;
    this.asked = new Promise((resolve) => {
      tell = resolve;
    });
    this.worker = {
      setupUtilizationObserver: (path, _size, offset) => {
        this.offset = offset;
        this.#descriptor = openSync(path, "r+");
        this.write();
        tell();
        return answer;
      },
    };
  }

  /** Answers with its schema. */
  answer(): void {
    this.#answer(this.content.fields.map(rowOf));
  }

  /** Answers that it has none. */
  answerNothing(): void {
    this.#answer(null);
  }

  fail(error: Error): void {
    this.#fail(error);
  }

  /** Stores its values. */
  write(): void {
    const { fields, values } = this.content;
    fields.forEach((field, index) => {
      const bytes = bytesOf(field, values[index]!);
      writeSync(this.#descriptor!, bytes, 0, bytes.length, this.offset! + field.offset);
    });
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }
}

function rowOf({ name, type, offset, aggregate }: ModelField): Row {
  return aggregate === undefined ? [name, type, offset] : [name, type, offset, { aggregate }];
}

/** A value as a worker stores it. */
function bytesOf({ type }: ModelField, value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  if (/f/i.test(type)) view.setFloat64(0, Number(value));
  else view.setBigUint64(0, BigInt.asUintN(64, value));
  // Big-endian, a narrow integer is the last bytes of a wide one.
  const bytes = new Uint8Array(view.buffer, 8 - sizeOf(type));
  return type[0] === type[0]!.toLowerCase() ? bytes.reverse() : bytes;
}
