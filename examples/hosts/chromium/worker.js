// A worker with a field of every kind, for the acceptance check: it counts all the time.
// Arguments: the name of its service, and a number that its values depend on.

import { connect } from "../../../dist/host/index.js";

const [name, number] = process.argv.slice(2);
const seed = Number(number);

const { metrics } = connect({
  name,
  schema: {
    requests_total: "u64",
    bytes_total: "u64",
    requests_active: "u32",
    temperature: "S16",
    load: "f64",
    oldest: { type: "f32", aggregate: "max" },
    lowest: { type: "s64", aggregate: "min" },
    release: { type: "U16", aggregate: "last" },
  },
});
// Two of these are more than 64 bits can hold.
metrics.bytes_total.set(2n ** 64n - 1000n * BigInt(seed));
metrics.temperature.set(-3 * seed);
metrics.lowest.set(-(2n ** 62n) + BigInt(seed));
metrics.release.set(100 + seed);

setInterval(() => {
  metrics.requests_total.increment(seed);
  metrics.requests_active.set(Math.floor(Math.random() * 100));
  metrics.load.set(Math.random() * seed);
  metrics.oldest.set(Math.random() * 1000);
}, 1);
process.on("disconnect", () => process.exit());
