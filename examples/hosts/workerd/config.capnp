# workerd serve config.capnp: POST vectors to /, see worker.js.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  compatibilityDate = "2026-11-01",
  # Names are paths from the project folder, so that modules import each other as they do in it.
  modules = [
    (name = "examples/hosts/workerd/worker.js", esModule = embed "worker.js"),
    (name = "examples/hosts/vectors.js", esModule = embed "../vectors.js"),
    (name = "build/core.wasm", wasm = embed "../../../build/core.wasm"),
  ],
);
