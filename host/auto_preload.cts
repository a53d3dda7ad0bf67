// What `utilization run` has Node.js require before the script: the automatic instrumentation. With
// `--import` Node.js loads the script itself as it loads ES modules, which know nothing of the hooks
// of `require` that the application may live by.

const { emitWarning } = process;
// Node.js 20 and 22 call it new that this loads an ES module.
process.emitWarning = () => {};
try {
  require(`./auto.${__filename.endsWith("ts") ? "ts" : "js"}`);
} catch {
  // The application runs without.
} finally {
  process.emitWarning = emitWarning;
}
