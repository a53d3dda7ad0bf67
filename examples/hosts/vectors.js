// Runs the conformance vectors of core.wasm (test/vectors/*.txt). This file imports nothing and
// uses nothing but the language and `WebAssembly.Memory`, so any JavaScript host can load it.
//
// A vector file is ASCII, one statement a line, words separated by single spaces:
//
//   # comment                          ignored, as empty lines are
//   case NAME                          what follows runs on a fresh instance
//   call FUNCTION ARG... = RESULT      calls an export, compares its answer
//   call FUNCTION ARG...               calls an export, does not look at its answer
//   let NAME FUNCTION ARG...           calls an export, keeps its answer as an address
//   put $NAME+BYTES HEX                writes bytes at this address; `+BYTES` may be left out
//   peek $NAME+BYTES VALUE             compares the i32 at this address
//   result INDEX KIND VALUE LOW HIGH   compares the record INDEX at results()
//
// KIND, VALUE, LOW and HIGH are those of a RESULT in docs/abi.md. Arguments, answers and VALUE are
// decimal numbers, VALUE of a result also `NaN`, `Infinity`, `-Infinity` and `-0`; LOW is an
// unsigned and HIGH a signed 64-bit integer. All are compared exactly: 0 and -0 differ, any NaN
// equals `NaN`. Addresses are unsigned. Memory may grow in any call. Each `call` with an answer,
// each `peek` and each `result` is one check; a case passes when all its checks hold.

const RESULT_BYTES = 32;

/**
 * Runs the cases of one or several vector files.
 *
 * @param {string} text the content of the files, one after the other.
 * @param {() => Record<string, any>} instantiate the exports of a fresh instance of the core.
 * @returns {{passed: number, total: number, failures: string[]}} one failure, the first, for each
 *   case that did not pass.
 * @throws {SyntaxError} when the text is not a vector file: that says nothing about the core.
 */
export function runVectors(text, instantiate) {
  const failures = [];
  let total = 0;
  /** @type {Case | undefined} */
  let current;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const [word, ...operands] = line.split(" ");
    if (word === "case") {
      current = new Case(operands[0], instantiate);
      total++;
      continue;
    }
    const statement = STATEMENTS[word];
    if (statement === undefined || current === undefined) {
      throw new SyntaxError(`Cannot run line ${index + 1} of the vectors: "${line}"`);
    }
    // What follows a failed check would only tell of the same failure again.
    if (current.failed) continue;
    try {
      statement(current, operands);
    } catch (error) {
      current.failed = true;
      failures.push(`line ${index + 1} of ${current.name}: ${line}: ${error.message}`);
    }
  }
  return { passed: total - failures.length, total, failures };
}

class Case {
  failed = false;
  /** @type {Map<string, number>} */
  addresses = new Map();
  #instantiate;
  #exports;

  constructor(name, instantiate) {
    this.name = name;
    this.#instantiate = instantiate;
  }

  call([name, ...operands]) {
    this.#exports ??= this.#instantiate();
    return this.#exports[name](...operands.map(Number));
  }

  /** The memory from the address that `operand` names: made anew each time, as memory may grow. */
  memory(operand) {
    const [name, bytes] = operand.slice(1).split("+");
    const address = this.addresses.get(name);
    if (address === undefined) throw new Error(`no address is kept as "${name}"`);
    return this.memoryAt(address + Number(bytes ?? 0));
  }

  memoryAt(address) {
    return new DataView(this.#exports.memory.buffer, address);
  }
}

const STATEMENTS = {
  call(current, operands) {
    const equals = operands.indexOf("=");
    if (equals < 0) current.call(operands);
    else compare("", current.call(operands.slice(0, equals)), Number(operands[equals + 1]));
  },

  let(current, [name, ...operands]) {
    current.addresses.set(name, current.call(operands) >>> 0);
  },

  put(current, [address, hex]) {
    const memory = current.memory(address);
    for (let at = 0; at < hex.length; at += 2) {
      memory.setUint8(at >> 1, Number.parseInt(hex.slice(at, at + 2), 16));
    }
  },

  peek(current, [address, value]) {
    compare("", current.memory(address).getInt32(0, true), Number(value));
  },

  result(current, [index, kind, value, low, high]) {
    const results = current.call(["results"]) >>> 0;
    const record = current.memoryAt(results + Number(index) * RESULT_BYTES);
    compare("kind ", record.getFloat64(0, true), Number(kind));
    compare("value ", record.getFloat64(8, true), Number(value));
    compare("low ", record.getBigUint64(16, true), BigInt(low));
    compare("high ", record.getBigInt64(24, true), BigInt(high));
  },
};

function compare(what, got, wanted) {
  if (Object.is(got, wanted)) return;
  throw new Error(`${what}wanted ${textOf(wanted)}, got ${textOf(got)}`);
}

function textOf(value) {
  return Object.is(value, -0) ? "-0" : `${value}`;
}
