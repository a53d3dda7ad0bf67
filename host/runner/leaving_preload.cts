// What workers of `--cluster` require before their script, as auto_preload.cts says.

const { emitWarning } = process;
// Node.js 20 and 22 call it new that this loads an ES module.
process.emitWarning = () => {};
try {
  require(`./leaving.${__filename.endsWith("ts") ? "ts" : "js"}`);
} catch {
  // It ends by its signal.
} finally {
  process.emitWarning = emitWarning;
}
