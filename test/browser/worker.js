// A process with workers of one service. Arguments: service, how many, a number that their values
// are made of, and "busy" for values that move.

import { connect } from "../../dist/host/index.js";

const [name, count, seed, busy] = process.argv.slice(2);
const schema = {
  requests_total: { type: "u64", help: "Requests that were answered." },
  requests_active: "u32",
  bytes_sent_total: { type: "u64", unit: "bytes" },
  event_loop_utilization: "f64",
  event_loop_delay_seconds: { type: "f64", aggregate: "max" },
  rss_bytes: { type: "u64", unit: "bytes" },
  request_duration_seconds: { type: "histogram", unit: "seconds", help: "How long requests take." },
  ...(["leaking", "saying"].includes(busy) && { version: "str16", state: "str32" }),
};
for (let index = 1; index <= Number(count); index++) {
  const { metrics, texts, registry } = connect({ name, schema });
  texts.version?.set(`1.2.${index}`);
  texts.state?.set("serving <b>everybody</b>");
  const number = Number(seed) + index;
  metrics.requests_total.set(1_000_000n * BigInt(number));
  metrics.requests_active.set(number);
  // Together they are more than a number can hold.
  metrics.bytes_sent_total.set(2n ** 53n + BigInt(number));
  metrics.event_loop_utilization.set(number / 100);
  metrics.event_loop_delay_seconds.set(number / 1000);
  metrics.rss_bytes.set(2n ** 20n * BigInt(50 + number));
  if (busy === "leaking") leak(metrics);
  const durations = registry.histogram("request_duration_seconds");
  if (busy === "busy") move(metrics, durations, index);
}

// Workers do not keep their process alive.
setInterval(() => {}, 60_000);

/** What it began it never ends, from the moment on at which it was seen at rest. */
function leak({ requests_total, requests_active }) {
  requests_active.set(0);
  setTimeout(() => requests_active.set(3), 2000);
  setInterval(() => requests_total.increment(), 50);
}

function move(metrics, durations, index) {
  setInterval(() => {
    const wave = 1 + Math.sin(Date.now() / 5000 + index);
    metrics.requests_total.increment(Math.round(10 * wave + 3 * Math.random()));
    metrics.bytes_sent_total.increment(Math.round(5e5 * wave));
    metrics.requests_active.set(Math.round(8 * wave));
    for (let i = 0; i < 10; i++) durations.observe(0.02 * (1 + wave) * Math.random() ** -0.5);
    metrics.event_loop_utilization.set(0.1 + 0.35 * wave);
    metrics.event_loop_delay_seconds.set(0.002 * wave + 0.003 * Math.random());
  }, 100);
}
