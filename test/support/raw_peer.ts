import { connect, type Socket } from "node:net";
import { FrameReader } from "../../host/bus/frame_reader.ts";
import type { Message } from "../../host/bus/messages.ts";

/** One end of a Unix socket that sends bytes as they are, and reads messages one by one. */
export class RawPeer {
  readonly socket: Socket;
  readonly #reader = new FrameReader();
  readonly #messages: Message[] = [];
  #waiting: ((message: Message | null) => void)[] = [];
  ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      for (const message of this.#reader.read(chunk)) {
        const resolve = this.#waiting.shift();
        if (resolve === undefined) this.#messages.push(message);
        else resolve(message);
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.ended = true;
      for (const resolve of this.#waiting.splice(0)) resolve(null);
    });
  }

  static connect(path: string): RawPeer {
    return new RawPeer(connect(path));
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next message; null when the other side has closed the connection. */
  next(): Promise<Message | null> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.ended) return Promise.resolve(null);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.socket.destroy();
  }
}
