// Requests to HTTP servers, and how many of them were answered: the truth that metrics are held
// against. The servers may die meanwhile.

import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const CLIENTS = 8;
const PAUSE_MS = 10;

export class Load {
  /** Answers that came. */
  answers = 0;
  #isRunning = true;
  #agent = new Agent({ keepAlive: true });
  #ports;
  #clients;

  /** Asks these ports in turn, until the end of the test at most. */
  static start(t, ports) {
    const load = new Load(ports);
    t.after(() => load.stop());
    return load;
  }

  constructor(ports) {
    this.#ports = ports;
    this.#clients = Array.from({ length: CLIENTS }, (_, index) => this.#ask(index));
  }

  async #ask(index) {
    for (let turn = index; this.#isRunning; turn++) {
      if (await this.#isAnswered(this.#ports[turn % this.#ports.length])) this.answers++;
      await sleep(PAUSE_MS);
    }
  }

  #isAnswered(port) {
    return new Promise((resolve) => {
      const options = { host: "127.0.0.1", port, agent: this.#agent };
      const request = get(options, (response) => {
        response.on("error", () => resolve(false)).on("end", () => resolve(true));
        response.resume();
      });
      request.on("error", () => resolve(false));
    });
  }

  /** Resolves when nothing is under way any more. */
  async stop() {
    this.#isRunning = false;
    await Promise.all(this.#clients);
    this.#agent.destroy();
    return this.answers;
  }
}
