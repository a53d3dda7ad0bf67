import * as message from "./build/message.js";

/**
 * A message with this header, and zeroes for the segments of its workers.
 *
 * @param {{capacity: number, ageMs?: number, segmentSize: number, type: number, offset: number,
 *   workers: number}} header see message.ts.
 * @returns {Uint8Array}
 */
export function encode({ capacity, ageMs = 0, segmentSize, type, offset, workers }) {
  const bytes = new Uint8Array(message.SEGMENTS + workers * segmentSize);
  const view = new DataView(bytes.buffer);
  view.setFloat64(message.CAPACITY, capacity, true);
  view.setInt32(message.SEGMENT_SIZE, segmentSize, true);
  view.setInt32(message.TYPE, type, true);
  view.setInt32(message.OFFSET, offset, true);
  view.setInt32(message.WORKERS, workers, true);
  setAge(bytes, ageMs);
  return bytes;
}

/** Says how old the segments of a message are now. */
export function setAge(bytes, ageMs) {
  new DataView(bytes.buffer).setFloat64(message.AGE_MS, ageMs, true);
}
