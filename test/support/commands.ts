/** What a fixture can be told to do. Results go through JSON: bigints are sent as text. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>;

/** Serves the commands of the parent process, and ends with it. */
export function serve(commands: Commands): void {
  process.on("disconnect", () => process.exit());
  process.on("message", async ({ serial, action, argument }: Message) => {
    try {
      const command = commands[action] as (argument: object) => unknown;
      process.send!({ serial, result: await command(argument) });
    } catch (error) {
      process.send!({ serial, error: (error as Error).message });
    }
  });
}

interface Message {
  readonly serial: number;
  readonly action: string;
  readonly argument: object;
}
