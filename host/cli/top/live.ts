// The live table: reads, draws, and does what the keys say, until it is stopped.

import { emitKeypressEvents } from "node:readline";
import { Screen } from "../screen.ts";
import { stopped, stopSignal } from "../stop.ts";
import { Poller } from "./poller.ts";
import { type Source, SourceError } from "./source.ts";
import { type Key, TopState } from "./state.ts";
import { renderTop, type Scene } from "./view.ts";

/** @throws {SourceError} when there is nothing to show yet. */
export async function runLive(source: Source, scene: Scene, intervalMs: number): Promise<void> {
  const quit = new AbortController();
  const stop = AbortSignal.any([stopSignal(), quit.signal]);
  // Nobody waits for an answer any more.
  stop.addEventListener("abort", () => source.close(), { once: true });

  const state = new TopState();
  const poller = new Poller(source);
  state.show(await poller.read(), new Date());

  const { stdin, stdout } = process;
  const render = (columns: number, rows: number) => renderTop(state, scene, columns, rows);
  const screen = new Screen(stdout, render, stdin);
  const poll = async (): Promise<void> => {
    try {
      state.show(await poller.read(), new Date());
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      state.failure = error.brief;
    }
  };
  const press = (_text: string | undefined, key: Key): void => {
    const request = state.press(key);
    if (request === "quit") quit.abort(null);
    // The whole job: whoever has started this process waits with it.
    else if (request === "suspend") process.kill(0, "SIGTSTP");
    else if (request === "redraw") screen.redraw();
    else screen.draw();
  };
  const end = (): void => quit.abort(null);

  emitKeypressEvents(stdin);
  stdin.on("keypress", press).on("end", end).on("error", end);
  screen.enter();
  stdin.resume();
  try {
    let begun = performance.now();
    while (!stop.aborted) {
      await stopped(stop, Math.max(0, intervalMs - (performance.now() - begun)));
      begun = performance.now();
      if (stop.aborted || state.isPaused) continue;
      await poll();
      screen.draw();
    }
    await stopped(stop);
  } finally {
    stdin.off("keypress", press).off("end", end).pause();
    screen.leave({ picture: false });
  }
}
