# workerd serve config.capnp: POST messages to /, see worker.js.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  compatibilityDate = "2026-11-01",
  modules = [
    (name = "examples/plugin/worker.js", esModule = embed "worker.js"),
    (name = "examples/plugin/build/message.js", esModule = embed "build/message.js"),
    (name = "examples/plugin/build/rule.js", esModule = embed "build/rule.js"),
    (name = "examples/hosts/chromium/sums.js", esModule = embed "../hosts/chromium/sums.js"),
    (name = "build/field_type.js", esModule = embed "../../build/field_type.js"),
    (name = "build/layout.js", esModule = embed "../../build/layout.js"),
    (name = "build/core.wasm", wasm = embed "../../build/core.wasm"),
  ],
);
