/** How long and how often things are measured. */
export interface Settings {
  readonly quick: boolean;
  /** Interleaved rounds that count. */
  readonly rounds: number;
  /** Rounds before them that do not: code is compiled, pages are mapped, caches are filled. */
  readonly warmUpRounds: number;
  /** How long samples are taken before that: V8 needs thousands to settle. */
  readonly warmUpMs: number;
  /** How long one contestant runs in one round. */
  readonly milliseconds: number;
  /** Workers per fleet. */
  readonly sizes: readonly number[];
  /** Workers of the fleets of 60 services. */
  readonly manyServicesSizes: readonly number[];
  /** Fresh processes whose first sample is measured. */
  readonly processes: number;
  /** Registrations over the socket in one round, and before the first that counts. */
  readonly registrations: number;
  readonly registrationsBefore: number;
  /** How long a worker blocks, and how often it is read meanwhile. prom-client waits for 5 s. */
  readonly blockMs: number;
  readonly blockedEveryMs: number;
}

export const FULL: Settings = {
  quick: false,
  rounds: 15,
  warmUpRounds: 3,
  warmUpMs: 500,
  milliseconds: 25,
  sizes: [64, 1000, 10_000, 100_000],
  manyServicesSizes: [10_000, 100_000],
  processes: 11,
  registrations: 300,
  registrationsBefore: 2400,
  blockMs: 10_000,
  blockedEveryMs: 1000,
};

/** For smoke tests: the same rows with figures that only tell the order of magnitude. */
export const QUICK: Settings = {
  quick: true,
  rounds: 3,
  warmUpRounds: 1,
  warmUpMs: 100,
  milliseconds: 4,
  sizes: [64, 1000, 10_000, 100_000],
  manyServicesSizes: [10_000],
  processes: 2,
  registrations: 100,
  registrationsBefore: 200,
  blockMs: 5600,
  blockedEveryMs: 1500,
};
