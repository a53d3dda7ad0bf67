// Which of the two text formats a scraper prefers.

import type { MetricsFormat } from "../exposition/text.ts";

export const CONTENT_TYPES: Readonly<Record<MetricsFormat, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The versions of OpenMetrics that our text is in. */
const VERSIONS: ReadonlySet<string | undefined> = new Set([undefined, "1.0.0", "0.0.1"]);
/** More ranges than anybody sends. */
const MOST_RANGES = 32;

/** The format of highest quality in an `Accept` header; text where it has no preference. */
export function preferredFormat(accept: string | undefined): MetricsFormat {
  const qualities = { text: 0, openmetrics: 0 };
  for (const range of (accept ?? "").split(",").slice(0, MOST_RANGES)) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const parameter = (name: string): string | undefined =>
      parameters.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
    const given = Number(parameter("q") ?? 1);
    const quality = given >= 0 && given <= 1 ? given : 0;
    if (type === "application/openmetrics-text" && VERSIONS.has(parameter("version"))) {
      qualities.openmetrics = Math.max(qualities.openmetrics, quality);
    } else if (type === "text/plain" || type === "text/*" || type === "*/*") {
      qualities.text = Math.max(qualities.text, quality);
    }
  }
  return qualities.openmetrics > qualities.text ? "openmetrics" : "text";
}
