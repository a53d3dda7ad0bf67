import { withOptions } from "./arguments.ts";
import { STATUS_HELP } from "./help.ts";
import { print } from "./output.ts";
import { placeToAsk } from "./place.ts";
import { type StatusQuestion, SupervisorClient } from "./supervisor_client.ts";

const OPTIONS = {
  name: { type: "string" },
  dir: { type: "string" },
  socket: { type: "string" },
  totals: { type: "boolean" },
  "by-worker": { type: "boolean" },
} as const;

const PATIENCE_MS = 5000;

/** Asks a running supervisor. */
export function status(args: readonly string[]): Promise<number> {
  return withOptions("status", args, STATUS_HELP, OPTIONS, async (values) => {
    const path = placeToAsk(values);
    const { totals = false, "by-worker": byWorker = false } = values;
    const client = await SupervisorClient.open(path);
    try {
      const answer = await ask(client, { totals, by_worker: byWorker });
      await print(`${answer}\n`);
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`Cannot get the status of the supervisor at "${path}": ${message}`);
    } finally {
      client.close();
    }
    return 0;
  });
}

/** The status as JSON text. */
async function ask(client: SupervisorClient, question: StatusQuestion): Promise<string> {
  const deadline = performance.now() + PATIENCE_MS;
  const answer = await client.statusText(question, PATIENCE_MS);
  if (answer !== null) return answer;
  for (const name of Object.keys(question) as (keyof StatusQuestion)[]) {
    if (!question[name]) continue;
    console.error(`utilization: This supervisor cannot tell --${name.replace("_", "-")}`);
  }
  return await client.plainStatusText(Math.max(1, deadline - performance.now()));
}
