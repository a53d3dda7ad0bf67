// A gateway that asks a plug-in before it passes a request on. The plug-in learns what it decides
// by from the shared file: no worker is asked anything, so one that is stuck cannot delay it.

import { closeSync, openSync, readSync } from "node:fs";
import { createServer, request as requestFrom } from "node:http";
import { FIELD_TYPES } from "../../build/field_type.js";
import { SEGMENTS } from "./build/message.js";
import { encode, setAge } from "./encode.js";

/** How long a copy of the segments is good enough. */
export const FRESH_MS = 20;

/**
 * The last copy of the segments of one service, as a message to the plug-in.
 *
 * All workers of the service must have the watched field at the same place.
 */
export class Watch {
  #monitor;
  #service;
  #field;
  #capacity;
  #fd;
  #message = null;
  #copiedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param {import("../hosts/chromium/file_describer.js").FileDescriber} monitor
   * @param {{service: string, field: string, capacity: number}} options `capacity` is how many
   *   requests one worker can be busy with.
   */
  constructor(monitor, { service, field, capacity }) {
    this.#monitor = monitor;
    this.#service = service;
    this.#field = field;
    this.#capacity = capacity;
    this.#fd = openSync(monitor.path, "r");
  }

  /** A message of now. Where no new copy can be made it has an old one, and says how old it is. */
  message() {
    const now = performance.now();
    if (now - this.#copiedAt >= FRESH_MS) {
      try {
        this.#message = this.#copy();
        this.#copiedAt = now;
      } catch (error) {
        if (this.#message === null) throw error;
      }
    }
    setAge(this.#message, now - this.#copiedAt);
    return this.#message;
  }

  #copy() {
    const { segmentSize, segments } = this.#monitor.describe();
    const watched = segments.filter(({ service }) => service === this.#service);
    const capacity = this.#capacity;
    const place = this.#place(watched);
    const message = encode({ capacity, segmentSize, ...place, workers: watched.length });
    for (const [index, { offset }] of watched.entries()) {
      readSync(this.#fd, message, SEGMENTS + index * segmentSize, segmentSize, offset);
    }
    return message;
  }

  /** Type and offset of the field; without workers nobody looks at them. */
  #place(segments) {
    const places = segments.map(({ fields }) => fields.find(([name]) => name === this.#field));
    const [, type = FIELD_TYPES[0], offset = 0] = places[0] ?? [];
    if (!places.every((place) => place?.[1] === type && place[2] === offset)) {
      throw new Error(`Not all workers have "${this.#field}" at the same place`);
    }
    return { type: FIELD_TYPES.indexOf(type), offset };
  }

  close() {
    closeSync(this.#fd);
  }
}

/**
 * Makes a server that passes requests on to the workers in turn, and answers 503 to the part of
 * them that the plug-in says.
 *
 * @param {object} options
 * @param {Watch} options.watch
 * @param {(message: Uint8Array) => Promise<number>} options.decide
 * @param {number[]} options.ports those of the workers.
 * @param {() => number} [options.random]
 * @param {Pick<Console, "error">} [options.log]
 */
export function createGateway({ watch, decide, ports, random = Math.random, log = console }) {
  let turn = 0;
  return createServer(async (request, response) => {
    if (await isTurnedAway()) {
      response.writeHead(503, { "retry-after": "1" }).end();
      return;
    }
    const { method, url: path, headers } = request;
    const port = ports[turn++ % ports.length];
    const passedOn = requestFrom({ port, host: "127.0.0.1", method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    passedOn.on("error", () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    });
    request.pipe(passedOn);
  });

  /** A gateway must not close because its plug-in broke. */
  async function isTurnedAway() {
    try {
      return random() < (await decide(watch.message()));
    } catch (error) {
      log.error("Accepting a request without a decision:", error.message);
      return false;
    }
  }
}
