// What the processes of the demo tell each other.

/** A server tells. */
export type FromWorker =
  | { readonly type: "listening"; readonly port: number }
  /** Its last words before the endless loop. */
  | { readonly type: "blocking" };

/** A server is told to go into an endless loop. */
export type ToWorker = { readonly type: "block" };

/** The load generator is told where the servers are. */
export type ToLoad = { readonly type: "targets"; readonly ports: readonly number[] };
