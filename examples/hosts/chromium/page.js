// Reads a copy of a shared file in a browser. Nothing leaves the page.

import { runVectors } from "../vectors.js";
import { Sums } from "./sums.js";

const element = (id) => document.getElementById(id);

const module = WebAssembly.compileStreaming(fetch("../../../build/core.wasm"));

/** The exports of a fresh instance: one instance serves one file. */
async function instantiate() {
  const { exports } = await WebAssembly.instantiate(await module, {});
  return exports;
}

/** What has been chosen so far. */
const chosen = { copy: null, description: null };

async function choose(part, file) {
  chosen[part] = file;
  await show();
}

async function show() {
  const { copy, description } = chosen;
  if (copy === null || description === null) {
    element("sums").replaceChildren();
    say(
      copy === description
        ? "Choose both files."
        : `Now choose ${copy ? "its description" : "the file itself"}.`,
    );
    return;
  }
  try {
    const sums = new Sums(await instantiate(), parse(await description.text()));
    const services = sums.read(new Uint8Array(await copy.arrayBuffer()));
    // Another file may have been chosen meanwhile.
    if (copy !== chosen.copy || description !== chosen.description) return;
    element("sums").replaceChildren(...[...services].map(tableOf));
    say(`${copy.name}: ${counted(services.size, "service")}`);
  } catch (error) {
    element("sums").replaceChildren();
    say(error.message, { problem: true });
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`Cannot use the description: ${error.message}`);
  }
}

function tableOf([service, values]) {
  const table = document.createElement("table");
  table.createCaption().textContent = service;
  const body = table.createTBody();
  for (const [name, value] of values) {
    const row = body.insertRow();
    const header = document.createElement("th");
    header.scope = "row";
    header.textContent = name;
    row.append(header);
    row.insertCell().textContent = textOf(value);
  }
  const card = document.createElement("div");
  card.className = "service";
  card.append(table);
  return card;
}

/** As the command line writes it: what JSON cannot say is null. */
function textOf(value) {
  return typeof value === "bigint" || Number.isFinite(value) ? String(value) : "null";
}

function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function say(text, { problem = false } = {}) {
  element("status").textContent = text;
  element("status").classList.toggle("problem", problem);
}

async function check(files) {
  const verdict = element("verdict");
  const list = element("failures");
  verdict.textContent = "";
  list.replaceChildren();
  const texts = await Promise.all([...files].map((file) => file.text()));
  try {
    const compiled = await module;
    const { passed, total, failures } = runVectors(
      texts.join("\n"),
      () => new WebAssembly.Instance(compiled, {}).exports,
    );
    for (const failure of failures) {
      const item = document.createElement("li");
      item.textContent = failure;
      list.append(item);
    }
    verdict.classList.toggle("problem", total === 0 || passed < total);
    verdict.textContent = `${passed} of ${total} cases passed`;
  } catch (error) {
    verdict.classList.add("problem");
    verdict.textContent = error.message;
  }
}

for (const part of Object.keys(chosen)) {
  element(part).addEventListener("change", ({ target }) => choose(part, target.files[0] ?? null));
}
element("vectors").addEventListener("change", ({ target }) => check(target.files));

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", ({ relatedTarget }) => {
  if (relatedTarget === null) document.body.classList.remove("dropping");
});
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  for (const file of event.dataTransfer.files) {
    const part = file.name.endsWith(".json") ? "description" : "copy";
    const transfer = new DataTransfer();
    transfer.items.add(file);
    element(part).files = transfer.files;
    chosen[part] = file;
  }
  await show();
});

try {
  await module;
  await show();
} catch (error) {
  say(`Cannot load core.wasm: ${error.message}`, { problem: true });
}
