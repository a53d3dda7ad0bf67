// A worker with a histogram: 100 waits, of 0.01, 0.02 … 1 s.

import { connect } from "../../dist/host/index.js";

const BOUNDS = ["0.1", "0.25", "0.5", "1", "+Inf"];
const [socket] = process.argv.slice(2);

const counter = { kind: "counter", histogram: "wait_seconds", unit: "seconds" };
const nameOf = (le) => `wait_seconds_bucket_${le === "+Inf" ? "inf" : le}`;
const buckets = BOUNDS.map((le) => [nameOf(le), { type: "u64", ...counter, le }]);
const help = "How long something waited";
const schema = {
  ...Object.fromEntries(buckets),
  wait_seconds_sum: { type: "f64", ...counter, help },
};

const { metrics } = connect({ name: "web", socket, schema });
for (let hundredths = 1; hundredths <= 100; hundredths++) {
  const le = BOUNDS.find((bound) => bound === "+Inf" || hundredths / 100 <= Number(bound));
  metrics[nameOf(le)].increment();
  metrics.wait_seconds_sum.increment(hundredths / 100);
}
setInterval(() => {}, 1000);
