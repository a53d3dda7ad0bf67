// The families of one scrape. No two have a sample of the same name.

import type { MetricFamily, MetricSample, MetricType } from "./family.ts";

/** Of whom a family of fields tells. */
export type Whose = "service" | "worker";

/** A family while samples are added to it. */
export interface OpenFamily extends MetricFamily {
  readonly samples: MetricSample[];
}

/** What may be added to a family's name, `_created` by OpenMetrics. */
export const SUFFIXES: Readonly<Record<MetricType, readonly string[]>> = {
  counter: [""],
  gauge: [""],
  histogram: ["", "_bucket", "_sum", "_count", "_created"],
  summary: ["", "_sum", "_count", "_created"],
};

export class FamilySet {
  readonly #families: Map<string, OpenFamily> = new Map();
  /** Of those for all services. */
  readonly #whose: Map<OpenFamily, Whose> = new Map();
  /** Of samples. */
  readonly #names: Set<string> = new Set();

  /** A family whose samples all come from who takes its name. */
  own(name: string, type: MetricType, help: string, unit: string | undefined): OpenFamily {
    return this.#add({ name, type, help, unit, samples: [] });
  }

  /** The family of this name, for all services or their workers; null where another one has it. */
  shared(
    name: string,
    type: MetricType,
    whose: Whose,
    describe: () => Pick<MetricFamily, "help" | "unit">,
  ): OpenFamily | null {
    const known = this.#families.get(name);
    if (known !== undefined) {
      return known.type === type && this.#whose.get(known) === whose ? known : null;
    }
    if (SUFFIXES[type].some((suffix) => this.#names.has(name + suffix))) return null;
    const family = this.#add({ name, type, ...describe(), samples: [] });
    this.#whose.set(family, whose);
    return family;
  }

  #add(family: OpenFamily): OpenFamily {
    const { name, type } = family;
    for (const suffix of SUFFIXES[type]) this.#names.add(name + suffix);
    this.#families.set(name, family);
    return family;
  }

  /** Those that have a sample. */
  told(): MetricFamily[] {
    return [...this.#families.values()].filter(({ samples }) => samples.length > 0);
  }
}
