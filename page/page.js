// The page of a supervisor: reads its events, and shows each service.

import { arrange, byId, make, write } from "./dom.js";
import { clock, counted } from "./format.js";
import { Model } from "./model.js";
import { ServiceCard } from "./service_card.js";
import { Source } from "./source.js";

/** Below so many services the headings are all the index that is needed. */
const INDEXED = 4;

const model = new Model();
/** @type {Map<string, ServiceCard>} */
const cards = new Map();
/** @type {Map<string, HTMLAnchorElement>} */
const links = new Map();
let madeCards = 0;
let isDeclaring = false;
/** @type {boolean | null} */
let isLive = null;
let stalledBefore = 0;

const source = new Source((report) => {
  model.update(report);
  if (model.hasUndeclared) void declare();
  // What nobody sees is remembered, not drawn.
  if (!document.hidden) show();
  chooseDetail();
}, setLive);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && model.time > 0) show();
});

/** Workers are asked for where they are shown: there may be thousands. */
function chooseDetail() {
  const isAnyInTrouble = [...model.services.values()].some(
    ({ stalledCount, leakingCount }) => stalledCount + leakingCount > 0,
  );
  source.want(isAnyInTrouble || [...cards.values()].some(({ isOpen }) => isOpen));
}

/** Units and the like come once. */
async function declare() {
  if (isDeclaring) return;
  isDeclaring = true;
  try {
    const response = await fetch("/fields");
    if (response.ok) model.declare(await response.json());
  } catch {
    // The next report asks again.
  } finally {
    isDeclaring = false;
  }
}

/** @param {boolean} live */
function setLive(live) {
  if (live === isLive) return;
  isLive = live;
  const since = model.time === 0 ? "" : ` Values are of ${clock(model.time)}.`;
  write(byId("connection"), live ? "Live" : `No connection, trying again.${since}`);
  document.body.classList.toggle("lost", !live);
}

function show() {
  const services = [...model.services];
  for (const [key, service] of services) {
    let card = cards.get(key);
    if (card === undefined) {
      card = new ServiceCard(`service-${++madeCards}`, service, () => {
        chooseDetail();
        show();
      });
      cards.set(key, card);
    }
  }
  for (const [key, card] of cards) {
    if (model.services.has(key)) continue;
    card.destroy();
    cards.delete(key);
    links.delete(key);
  }
  arrange(
    byId("services"),
    services.length === 0 ? [emptyNote] : [...cards.values()].map(({ element }) => element),
  );
  for (const [key, service] of services) cards.get(key)?.update(service, model.time);
  showIndex();
  showSummary();
}

const emptyNote = make("p", {
  class: "note",
  text: "No worker has registered yet. This page shows them as soon as they do.",
});

function showIndex() {
  const index = byId("index");
  index.hidden = cards.size < INDEXED;
  if (index.hidden) return;
  for (const [key, { id }] of cards) {
    const service = model.services.get(key);
    if (service === undefined) continue;
    const { name, workerCount, stalledCount, leakingCount } = service;
    const link = links.get(key) ?? make("a", { href: `#${id}` });
    links.set(key, link);
    const stalled = stalledCount > 0 ? `, ${stalledCount} stalled` : "";
    const leaking = leakingCount > 0 ? `, ${leakingCount} leaking` : "";
    write(link, `${name}: ${workerCount}${stalled}${leaking}`);
    link.classList.toggle("stalled", stalledCount > 0);
    link.classList.toggle("leaking", leakingCount > 0);
  }
  arrange(index, [...links.values()]);
}

function showSummary() {
  let workers = 0;
  let stalled = 0;
  let leaking = 0;
  /** @type {string[]} */
  const names = [];
  for (const { name, workerCount, stalledCount, leakingCount } of model.services.values()) {
    leaking += leakingCount;
    workers += workerCount;
    stalled += stalledCount;
    if (stalledCount > 0) names.push(`${name}: ${stalledCount}`);
  }
  const parts = [counted(model.services.size, "service"), counted(workers, "worker")];
  if (stalled > 0) parts.push(`${stalled} stalled`);
  if (leaking > 0) parts.push(`${leaking} leaking`);
  write(byId("summary"), parts.join(", "));
  byId("summary").classList.toggle("stalled", stalled > 0);
  byId("summary").classList.toggle("leaking", leaking > 0);
  document.title = stalled > 0 ? `(${stalled} stalled) Utilization` : "Utilization";
  if (stalled === stalledBefore) return;
  stalledBefore = stalled;
  write(
    byId("news"),
    stalled > 0 ? `Stalled workers: ${names.join(", ")}` : "All workers run again",
  );
}
