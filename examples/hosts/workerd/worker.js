// The core in workerd. Bytes cannot be compiled here ("Wasm code generation disallowed by
// embedder"): core.wasm is part of the configuration, and imported as a compiled module.

import module from "../../../build/core.wasm";
import { runVectors } from "../vectors.js";

export default {
  /** Takes the text of vectors, answers with what `runVectors` returns. */
  async fetch(request) {
    const instantiate = () => new WebAssembly.Instance(module, {}).exports;
    return Response.json(runVectors(await request.text(), instantiate));
  },
};
