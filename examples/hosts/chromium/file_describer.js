import { UtilizationMonitor } from "../../../dist/host/index.js";

/** A monitor that can say where each worker's values are in its file, for readers of a copy. */
export class FileDescriber extends UtilizationMonitor {
  /** What each worker was told and has answered, by its id. */
  #places = new Map();

  /** Listens in on the one question that a worker is asked: where to write, and which fields. */
  async register(controller) {
    const { id, worker } = controller;
    const observed = worker && {
      setupUtilizationObserver: async (path, segmentSize, offset) => {
        const fields = await worker.setupUtilizationObserver(path, segmentSize, offset);
        this.#places.set(id, { offset, fields });
        return fields;
      },
    };
    await super.register({ ...controller, worker: observed });
  }

  remove(controller) {
    super.remove(controller);
    this.#places.delete(controller.id);
  }

  unregister(controller) {
    super.unregister(controller);
    this.#places.delete(controller.id);
  }

  /** @returns {import("./sums.js").Description} of the live workers, in registration order. */
  describe() {
    const { segmentSize } = this;
    const segments = this.sampleByWorker().map(({ id, service }) => {
      return { service, ...this.#places.get(id) };
    });
    return { segmentSize, segments };
  }
}
