// A registry that has one package more than the real one: what would be published.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

/**
 * Serves a packed package, and redirects to the configured registry for all others.
 *
 * @param {string} tarball path of what `npm pack` made.
 * @param {object} manifest its package.json.
 * @returns {Promise<{url: string, close(): void}>}
 */
export async function serveRegistry(tarball, manifest) {
  const bytes = readFileSync(tarball);
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  const shasum = createHash("sha1").update(bytes).digest("hex");
  const { name, version } = manifest;
  const command = ["config", "get", "registry"];
  const upstream = execFileSync("npm", command, { encoding: "utf8" }).trim().replace(/\/$/, "");

  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url);
    if (path === `/${name}`) {
      const dist = { tarball: `${url}/${name}.tgz`, integrity, shasum };
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({
          name,
          "dist-tags": { latest: version },
          versions: { [version]: { ...manifest, dist } },
          time: { [version]: new Date(0).toISOString() },
        }),
      );
    } else if (path === `/${name}.tgz`) {
      response.end(bytes);
    } else {
      response.writeHead(307, { location: `${upstream}${request.url}` }).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, close: () => server.closeAllConnections?.() ?? server.close() };
}
