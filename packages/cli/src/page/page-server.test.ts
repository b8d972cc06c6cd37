import { once } from "node:events";
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { InputError } from "@intremap/core";
import { afterEach, describe, expect, test } from "vitest";
import { PageServer } from "./page-server.ts";

const page = {
  "index.html": "<html><head><title>x</title></head></html>",
  "app.css": "p{}",
  "app.js": "1",
  "engine.js": "2",
};
const given = {
  start: "#/machine?source=live",
  host: { name: "</script>", from: "live" },
  scenario: null,
} as const;

let server: PageServer | undefined;
afterEach(() => server?.close());

async function started(host: () => Promise<string> = async () => "{}"): Promise<PageServer> {
  server = await PageServer.start({ page, given, host, port: 0 });
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** `fetch` sets what it likes in place of some headers. */
async function asked(address: string, headers: OutgoingHttpHeaders = {}, method = "GET"): Promise<Answer> {
  const sent = request(address, { headers, method, agent: false });
  sent.end();
  const [response] = (await once(sent, "response")) as [
    AsyncIterable<Buffer> & { statusCode: number; headers: IncomingHttpHeaders },
  ];
  let text = "";
  for await (const chunk of response) text += chunk.toString();
  return { status: response.statusCode, headers: response.headers, text };
}

describe("whoever knows the address", () => {
  test("gets the page with what is given, in which nothing ends the element", async () => {
    const { address } = await started();
    const { status, headers, text } = await asked(address);
    expect({ status, type: headers["content-type"] }).toEqual({
      status: 200,
      type: "text/html; charset=utf-8",
    });
    const [, json] = /<script type="application\/json" id="given">(.*?)<\/script>/.exec(text)!;
    expect(JSON.parse(json!)).toEqual(given);
    expect((await asked(`${address}app.js`)).text).toBe("1");
    expect((await asked(`${address}app.css?1`)).headers["content-type"]).toMatch(/^text\/css/);
  });

  test("gets the host read anew each time, and an error in one line", async () => {
    let times = 0;
    const { address } = await started(async () => {
      times++;
      if (times === 3) throw new InputError("live: it is gone");
      return `{"times":${times}}`;
    });
    expect((await asked(`${address}host`)).text).toBe('{"times":1}');
    expect((await asked(`${address}host`)).text).toBe('{"times":2}');
    expect(await asked(`${address}host`)).toMatchObject({ status: 500, text: "live: it is gone" });
  });

  test("may call this machine localhost, and may come by a link", async () => {
    const { address, port } = await started();
    expect(await asked(address, { host: `localhost:${port}` })).toMatchObject({ status: 200 });
    const link = {
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
    };
    expect(await asked(address, link)).toMatchObject({ status: 200 });
  });

  test("is kept by no cache, put in no frame and sent nowhere", async () => {
    const { address } = await started();
    expect((await asked(`${address}host`)).headers).toMatchObject({
      "cache-control": "no-store",
      "content-security-policy": "frame-ancestors 'none'",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    });
  });
});

describe("nobody else gets anything", () => {
  test("who does not know the address", async () => {
    const { address, port } = await started();
    const wrong = address.replace(/.\/$/, (end) => (end === "A/" ? "B/" : "A/"));
    const root = `http://127.0.0.1:${port}/`;
    for (const one of [root, `${root}host`, wrong, `${wrong}host`, `${root}index.html`]) {
      expect(await asked(one)).toMatchObject({ status: 404, text: expect.not.stringContaining("<") });
    }
  });

  test.each<[string, (port: number) => OutgoingHttpHeaders]>([
    ["a name that was made to point here", (port) => ({ host: `evil.example:${port}` })],
    ["a name without the port", () => ({ host: "127.0.0.1" })],
    ["another origin", () => ({ origin: "http://evil.example" })],
    ["a page from a file", () => ({ origin: "null" })],
    ["another server of this machine", (port) => ({ origin: `http://127.0.0.1:${port + 1}` })],
    ["another page's request", () => ({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" })],
    ["another server's frame", () => ({ "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate" })],
  ])("%s", async (_who, headersOf) => {
    const { address, port } = await started();
    expect(await asked(`${address}host`, headersOf(port))).toMatchObject({ status: 403 });
  });

  test("who wants more than to read", async () => {
    const { address } = await started();
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect(await asked(`${address}host`, {}, method)).toMatchObject({ status: 405 });
    }
  });

  test.each(["../package.json", "..%2fpackage.json", "app.js/", "host/x", "__proto__", "constructor"])(
    "who asks for %s",
    async (name) => {
      const { address } = await started();
      expect(await asked(`${address}${name}`)).toMatchObject({ status: 404 });
    },
  );
});

test("what starts the browser leads to the address once", async () => {
  const { address, addressOnce } = await started();
  const { status, headers } = await asked(addressOnce);
  expect({ status, to: new URL(headers.location!, addressOnce).href }).toEqual({ status: 303, to: address });
  expect(await asked(addressOnce)).toMatchObject({ status: 404 });
});

test("a port that is taken is said in one line", async () => {
  const { port } = await started();
  const other = PageServer.start({ page, given, host: async () => "", port });
  await expect(other).rejects.toThrow(new InputError(`--port ${port}: in use`));
});

test.runIf(process.platform === "linux")("on no other address of this machine anybody listens", async () => {
  const { port } = await started();
  await expect(asked(`http://127.0.0.2:${port}/`)).rejects.toThrow("ECONNREFUSED");
});
