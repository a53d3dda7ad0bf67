// pm2 start ecosystem.config.cjs: a supervisor, and two services that it sees, one in each mode of PM2.

const { homedir } = require("node:os");
const { dirname, join } = require("node:path");
const { pathToFileURL } = require("node:url");

// By its path: in cluster mode a worker starts in the folder of PM2's daemon.
const auto = require.resolve("utilization-monitor/auto");
const utilization = join(
  dirname(require.resolve("utilization-monitor/package.json")),
  "dist/host/cli/main.js",
);
const { METRICS = "9464", PM2_HOME = join(homedir(), ".pm2"), UTILIZATION_DIR } = process.env;
// PM2's own is on a disk as a rule. In memory it would cost less, but must outlast a logout.
const folder = UTILIZATION_DIR ?? join(PM2_HOME, "utilization");
// Not NODE_OPTIONS in `env`: in cluster mode PM2 sets that when Node.js has started already.
const node_args = ["--import", pathToFileURL(auto).href];
const env = { UTILIZATION_SUPERVISOR: join(folder, "default.ipc") };
const server = join(__dirname, "../server.js");

module.exports = {
  apps: [
    {
      name: "utilization",
      script: utilization,
      args: ["supervise", "--dir", folder, "--http", METRICS],
      // Two of one folder cannot be: the second one is refused.
      exec_mode: "fork",
      // Its line of JSON every ten seconds; the log goes to standard error.
      out_file: "/dev/null",
    },
    {
      name: "web",
      script: server,
      exec_mode: "cluster",
      instances: 2,
      node_args,
      env: { ...env, PORT: process.env.PORT ?? "8080" },
    },
    {
      name: "admin",
      script: server,
      exec_mode: "fork",
      node_args,
      env: { ...env, PORT: process.env.ADMIN_PORT ?? "8081" },
    },
  ],
};
