import { randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Given, InputError } from "@intremap/core";
import { dataBlock } from "./data-block.ts";
import type { PageFiles } from "./page-files.ts";

export interface Served {
  readonly page: PageFiles;
  readonly given: Given;
  /** The host, packed. @throws InputError */
  readonly host: () => Promise<string>;
  /** 0: one that is free. */
  readonly port: number;
}

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

const headers = {
  "cache-control": "no-store",
  "content-security-policy": "frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** A browser asks for a page in a few hundred bytes. */
const mostHeaderBytes = 8192;

/**
 * The page on loopback, for whoever knows its address. Other pages in the same browser, names that were made to point
 * here, and other users of this machine do not.
 */
export class PageServer {
  readonly #server: Server;
  readonly #served: Served;
  readonly #token = randomBytes(24).toString("base64url");
  #once = randomBytes(24).toString("base64url");
  #reading: Promise<string> | undefined;

  private constructor(served: Served) {
    this.#served = served;
    this.#server = createServer({ maxHeaderSize: mostHeaderBytes }, (request, response) => {
      void this.#answer(request, response);
    });
  }

  /** @throws InputError when the port is taken. */
  static async start(served: Served): Promise<PageServer> {
    const one = new PageServer(served);
    one.#server.listen(served.port, "127.0.0.1");
    try {
      await once(one.#server, "listening");
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const why = code === "EADDRINUSE" ? "in use" : code === "EACCES" ? "permission denied" : message;
      throw new InputError(`--port ${served.port}: ${why}`);
    }
    return one;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `${this.#origin}/${this.#token}/`;
  }

  /** Leads to the address, once: what starts a browser stands in the list of processes, which everybody may read. */
  get addressOnce(): string {
    return `${this.#origin}/open/${this.#once}`;
  }

  async ended(): Promise<void> {
    await once(this.#server, "close");
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  get #origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = this.#refusal(request);
    if (refusal !== null) {
      send(response, 403, "text/plain; charset=utf-8", `${refusal}\n`);
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      send(response, 405, "text/plain; charset=utf-8", "only GET\n", { allow: "GET, HEAD" });
      return;
    }
    const [, first = "", name = "", ...rest] = (request.url ?? "").replace(/[?#].*$/s, "").split("/");
    if (first === "open" && rest.length === 0 && same(name, this.#once)) {
      this.#once = randomBytes(24).toString("base64url");
      send(response, 303, "text/plain; charset=utf-8", "", { location: `/${this.#token}/` });
    } else if (!same(first, this.#token) || rest.length > 0) {
      send(response, 404, "text/plain; charset=utf-8", "not here: open the address that was printed\n");
    } else if (name === "host") await this.#sendHost(response);
    else this.#sendFile(name === "" ? "index.html" : name, response);
  }

  /** Why a request is not answered: it does not come from this server's own page, or from the user. */
  #refusal({ headers: asked }: IncomingMessage): string | null {
    const { host = "", origin = `http://${host}` } = asked;
    if (host !== `127.0.0.1:${this.port}` && host !== `localhost:${this.port}`) return "another host's name";
    if (origin !== `http://${host}`) return "another page's request";
    // A link on another page may lead here; it knows the address then.
    const site = asked["sec-fetch-site"] ?? "none";
    const goes = asked["sec-fetch-mode"] === "navigate" && asked["sec-fetch-dest"] === "document";
    return site === "same-origin" || site === "none" || goes ? null : "another page's request";
  }

  #sendFile(name: string, response: ServerResponse): void {
    const { page, given } = this.#served;
    if (!Object.hasOwn(page, name)) {
      send(response, 404, "text/plain; charset=utf-8", "no such file\n");
      return;
    }
    const text = page[name as keyof PageFiles];
    const whole =
      name === "index.html"
        ? text.replace("</head>", () => `${dataBlock("given", JSON.stringify(given))}</head>`)
        : text;
    send(response, 200, types[name.replace(/^.*\./, "")]!, whole);
  }

  async #sendHost(response: ServerResponse): Promise<void> {
    try {
      // Two who ask at the same time get the same.
      this.#reading ??= this.#served.host().finally(() => (this.#reading = undefined));
      send(response, 200, "application/json; charset=utf-8", await this.#reading);
    } catch (error) {
      const { message } = error as Error;
      const text = error instanceof InputError ? message : `unexpected error: ${message}`;
      send(response, 500, "text/plain; charset=utf-8", text);
    }
  }
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  more: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...headers, ...more, "content-type": type });
  response.end(text);
}

function same(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}
