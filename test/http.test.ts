import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, it } from "node:test";
import { runCli, startCli, startWorker } from "./fixtures/cli_process.ts";
import { temporaryFolder } from "./support/folder.ts";
import { get, RawClient, serveHttp } from "./support/http.ts";
import { Scene } from "./support/scene.ts";
import { until } from "./support/until.ts";

const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

describe("HttpServer", () => {
  it("serves the status as exact text", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    const worker = await scene.registered();
    await worker.ask("set", { value: String(2n ** 64n - 1n) });
    const ask = async (query: string): Promise<string> => {
      const response = await fetch(`${http.url}status${query}`);
      assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.equal(response.headers.get("access-control-allow-origin"), null);
      return await response.text();
    };
    const data =
      '"web":{"requests_total":18446744073709551615,"requests_active":0,"worker_count":1}';
    await until(async () => (await ask("")).includes(data), "the value is served");
    assert.equal(await ask(""), `[{"type":"utilization_monitor","data":{${data}},"stalled":{}}]\n`);
    assert.equal(
      await ask("?totals&workers"),
      `${scene.supervisor.statusText({ totals: true, byWorker: true })}\n`,
    );
    assert.equal(await ask("?workers=1"), `${scene.supervisor.statusText({ byWorker: true })}\n`);
    assert.equal(await ask("?workers=0"), await ask(""));
  });

  it("serves metrics, in the format that is preferred", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    const workers = await Promise.all([scene.registered(), scene.registered()]);
    for (const worker of workers) await worker.ask("add", { by: 21 });
    await scene.sums("web", "requests_total", 42);
    const ask = async (accept: string): Promise<[string | null, string]> => {
      const response = await fetch(`${http.url}metrics`, { headers: { accept } });
      assert.equal(response.headers.get("vary"), "Accept");
      return [response.headers.get("content-type"), await response.text()];
    };
    const [plainType, plain] = await ask("*/*");
    assert.equal(plainType, "text/plain; version=0.0.4; charset=utf-8");
    assert.match(
      plain,
      /^# TYPE utilization_requests_total counter\nutilization_requests_total\{service="web"\} 42$/m,
    );
    assert.match(plain, /^utilization_workers\{service="web"\} 2$/m);
    assert.match(plain, /^utilization_limits_reached_total\{limit="workers"\} 0$/m);
    const [type, text] = await ask("application/openmetrics-text;version=1.0.0,*/*;q=0.1");
    assert.equal(type, OPENMETRICS);
    assert.match(text, /^utilization_requests_total\{service="web"\} 42$/m);
    assert.ok(text.endsWith("\n# EOF\n"));
    const each = await (await fetch(`${http.url}metrics?workers`)).text();
    for (const slot of [0, 1]) {
      const line = `utilization_worker_requests_total{service="web",slot="${slot}"} 21\n`;
      assert.ok(each.includes(line), each);
    }

    // The dead count on; what they did at the moment is over.
    await workers[0]!.kill();
    await scene.sums("web", "requests_total", 21);
    const [, later] = await ask("*/*");
    assert.match(later, /^utilization_requests_total\{service="web"\} 42$/m);
    assert.match(later, /^utilization_workers\{service="web"\} 1$/m);
  });

  it("serves what is known of the fields", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    assert.equal(await (await fetch(`${http.url}fields`)).text(), "[{}]\n");
    await scene.registered();
    assert.deepEqual(await (await fetch(`${http.url}fields`)).json(), [
      {
        web: {
          requests_total: { kind: "counter", aggregate: "sum" },
          requests_active: { kind: "gauge", aggregate: "sum" },
        },
      },
    ]);
  });

  it("serves a page that loads nothing from elsewhere", async (t) => {
    const http = await serveHttp(await Scene.supervised(t));
    const seen = new Set<string>();
    const load = async (path: string): Promise<void> => {
      if (seen.has(path)) return;
      seen.add(path);
      const response = await fetch(new URL(path, http.url));
      assert.equal(response.status, 200, path);
      const policy = response.headers.get("content-security-policy") ?? "";
      assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
      assert.doesNotMatch(policy, /unsafe|https?:|\*|data:/);
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      const text = await response.text();
      const isModule = path !== "/page/uplot.js" && path.endsWith(".js");
      if (path === "/") {
        assert.doesNotMatch(text, /<style|\sstyle=|\son\w+=|<script(?! src=| type="module" src=)/);
        for (const [, name] of text.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)) await load(name!);
      } else if (isModule) {
        for (const [, name] of text.matchAll(/\bfrom *"\.\/([^"]+)"/g)) await load(`/page/${name}`);
      }
    };
    await load("/");
    assert.ok(seen.size > 10, [...seen].join(", "));
    const library = await (await fetch(new URL("/page/uplot.js", http.url))).text();
    assert.match(library, /^\/\*!\nThe MIT License \(MIT\)\n\nCopyright \(c\) \d+ Leon Sorokin/);
  });

  it("answers HEAD without a body, and /healthz", async (t) => {
    const http = await serveHttp(await Scene.supervised(t));
    assert.equal(await (await fetch(`${http.url}healthz`)).text(), "ok\n");
    for (const path of ["", "status", "metrics", "events", "healthz"]) {
      const response = await fetch(http.url + path, { method: "HEAD" });
      assert.equal(response.status, 200, path);
      assert.equal(await response.text(), "");
    }
  });

  it("refuses whom it does not know, with a reason", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene, { hosts: ["metrics.example"] });
    const { port } = new URL(http.url);
    const ask = async (request: string): Promise<string> => {
      const client = new RawClient(scene, http, request);
      return await client.end();
    };
    const from = (host: string): string =>
      `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    for (const host of [
      "localhost",
      "LOCALHOST:1",
      "127.0.0.1",
      `127.0.0.1:${port}`,
      "[::1]:80",
      "Metrics.Example",
    ]) {
      assert.match(await ask(from(host)), /^HTTP\/1\.1 200 /, host);
    }
    for (const host of [
      "evil.example",
      "localhost.evil.example",
      "127.0.0.2",
      "localhost:1:2",
      "a@localhost",
      "0.0.0.0",
    ]) {
      const answer = await ask(from(host));
      assert.match(answer, /^HTTP\/1\.1 403 /, host);
      assert.match(answer, /This Host is not served/);
    }
    const site = (mode: string): string =>
      get("/healthz", "Connection: close", "Sec-Fetch-Site: cross-site", `Sec-Fetch-Mode: ${mode}`);
    assert.match(await ask(site("no-cors")), /^HTTP\/1\.1 403 [\s\S]*Pages of other sites/);
    assert.match(await ask(site("navigate")), /^HTTP\/1\.1 200 /);
    for (const [request, status] of [
      [get("/nothing"), 404],
      [get("/status/"), 404],
      [get(`/${"x".repeat(1024)}`), 414],
      [get("/events?interval=0"), 400],
      [get("/events?interval=61"), 400],
      [get("/events?interval=1e1"), 400],
      [get("/status").replace("GET", "POST"), 405],
      [get("/status").replace("GET", "DELETE"), 405],
      [get("/status").replace("GET", "OPTIONS"), 405],
      ["GET http://localhost/status HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
      ["GET /status HTTP/1.1\r\n\r\n", 400],
      ["GET /status HTTP/1.0\r\n\r\n", 403],
      ["nonsense\r\n\r\n", 400],
      [get("/status", `X: ${"y".repeat(9000)}`), 431],
    ] as const) {
      const answer = await ask(request);
      // Deno's parser has one answer for all that it cannot read.
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), request.slice(0, 100));
      assert.doesNotMatch(answer, /access-control/i);
    }
    assert.deepEqual(scene.log.with("error"), []);
  });

  it("is reached by the address that it is bound to", async (t) => {
    const own = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find(({ family, internal }) => family === "IPv4" && !internal);
    if (own === undefined) {
      t.skip("this machine has no address but loopback");
      return;
    }
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene, { address: "0.0.0.0:0" });
    assert.equal(
      scene.log.with("warn HTTP").length + scene.log.with("open to other machines").length,
      1,
    );
    const { port } = new URL(http.url);
    const answer = await fetch(`http://${own.address}:${port}/healthz`);
    assert.equal(answer.status, 200);
  });

  it("takes no more connections than it is told", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene, { maxConnections: 2 });
    const readers = [1, 2].map(() => new RawClient(scene, http, get("/events")));
    await until(() => readers.every(({ events }) => events.length > 0), "both are served");
    const third = new RawClient(scene, http, get("/healthz"));
    assert.equal(await third.end(), "");
    readers[0]!.socket.destroy();
    await until(async () => {
      const another = new RawClient(scene, http, get("/healthz", "Connection: close"));
      return (await another.end()).includes("ok");
    }, "there is room again");
  });

  it("waits for no client that is slow to ask", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    const slow = new RawClient(scene, http, "GET /status HTTP/1.1\r\nHo");
    assert.match(await slow.end(), /^HTTP\/1\.1 408 /);
    const silent = new RawClient(scene, http);
    await silent.end();
  });

  it("says why it cannot listen, and harms nobody", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    const { host } = new URL(http.url);
    await assert.rejects(serveHttp(scene, { address: host }), {
      message: `Cannot serve HTTP on ${host}: another program is listening there`,
    });
    await assert.rejects(serveHttp(scene, { address: "nonsense:x" }), { name: "RangeError" });
    assert.equal((await fetch(`${http.url}healthz`)).status, 200);
  });

  it("answers 500 when a monitor cannot tell, and the log says why", async (t) => {
    const scene = await Scene.supervised(t);
    const broken = Object.create(scene.monitor, {
      statusText: {
        value: () => {
          throw new Error("It broke");
        },
      },
    });
    const http = await serveHttp(scene, { monitors: [broken] });
    const response = await fetch(`${http.url}status`);
    assert.equal(response.status, 500);
    assert.equal(await response.text(), "The values could not be read, the log says why\n");
    assert.equal(scene.log.with("error Error answering /status").length, 1);
    assert.equal((await fetch(`${http.url}healthz`)).status, 200);
    for (let i = 0; i < 50; i++) await fetch(`${http.url}status`);
    assert.ok(scene.log.with("error").length <= 10);
  });

  it("ends all connections when it is closed, at once and twice", async (t) => {
    const scene = await Scene.supervised(t);
    const http = await serveHttp(scene);
    const clients = [get("/events"), get("/healthz"), "GET /sta", ""].map(
      (request) => new RawClient(scene, http, request),
    );
    await until(() => clients[0]!.events.length > 0 && clients[1]!.text.includes("ok"), "served");
    await Promise.all([http.close(), http.close()]);
    await Promise.all(clients.map((client) => client.end()));
    const { hostname, port } = new URL(http.url);
    const refused = connectTcp(Number(port), hostname);
    await assert.rejects(
      new Promise((resolve, reject) => refused.once("connect", resolve).once("error", reject)),
      /ECONNREFUSED/,
    );
    await http[Symbol.asyncDispose]();
  });
});

describe("utilization supervise --http", () => {
  it("serves what workers count, on the port that it says", async (t) => {
    const dir = temporaryFolder(t);
    const args = ["supervise", "--dir", dir, "--http", ":0", "--http-host", "a.example, b.example"];
    const cli = startCli(t, [...args, "--metrics-namespace", ""]);
    await cli.until("it serves", () => cli.stderr.includes("Serving http://127.0.0.1:"));
    const [, url] = /Serving (http:\S+)/.exec(cli.stderr)!;
    await startWorker(t, `${dir}/default.ipc`, "web", 5n);
    await until(
      async () => (await (await fetch(`${url}status`)).text()).includes('"requests_total":5,'),
      "the value is served",
    );
    const metrics = await (await fetch(`${url}metrics`)).text();
    assert.match(metrics, /^requests_total\{service="web"\} 5$/m);
    assert.match(metrics, /^utilization_worker_registrations_total 1$/m);
    cli.signal("SIGTERM");
    const { code, stderr } = await cli.exit;
    assert.equal(code, 0, stderr);
    await assert.rejects(fetch(`${url}healthz`));
  });

  for (const [args, expected] of [
    [["--http", "nonsense:x"], /^utilization: Cannot listen on "nonsense:x"/],
    [["--http-host", "a"], /^utilization: Cannot use --http-host without --http/],
    [["--metrics-namespace", "a"], /^utilization: Cannot use --metrics-namespace without --http/],
    [["--http", "0", "--metrics-namespace", "a b"], /^utilization: Cannot use namespace "a b"/],
  ] as const) {
    it(`refuses ${args.join(" ")} before it touches anything`, async (t) => {
      const dir = temporaryFolder(t);
      const { code, stderr } = await runCli(t, ["supervise", "--dir", `${dir}/new`, ...args]);
      assert.equal(code, 2);
      assert.match(stderr, expected);
    });
  }

  it("does not start on a port that is taken, and leaves nothing behind", async (t) => {
    const scene = await Scene.supervised(t);
    const { host } = new URL((await serveHttp(scene)).url);
    const dir = temporaryFolder(t);
    const { code, stderr } = await runCli(t, ["supervise", "--dir", dir, "--http", host]);
    assert.equal(code, 1);
    assert.match(stderr, /^utilization: Cannot serve HTTP on .*: another program is listening/m);
  });
});
