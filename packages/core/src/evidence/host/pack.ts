import { InputError } from "../input-error.ts";
import type { HostState } from "./state.ts";

const format = "intremap host";
/** Of the packed form. It goes up when a reader of the old one would misread the new. */
const version = 1;

/** Values inside one another; a host's are 10 deep at most. */
const deepest = 32;
/** Bits of one number: a posted-interrupt descriptor has 512. */
const widest = 1024;
/** Bytes of one configuration space, and of all together, whose trailing zeros are not written. */
const longest = 1 << 16;
const mostBytes = 1 << 26;

/**
 * A host as JSON: what JSON has no value for is an object of one key, `$n` (a bigint in hexadecimal), `$map`, `$set`, `$bytes` (length,
 * and hexadecimal up to the last byte that is not 0). Origins, which many facts share, stand in a list of their own and are named by
 * their place in it.
 */
export function packHost(state: HostState): string {
  const origins = new Origins();
  const host = pack(state, origins);
  return JSON.stringify({ format, version, origins: origins.list, host });
}

/** @throws InputError when the text is no packed host, or one of another version. */
export function unpackHost(text: string): HostState {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch {
    throw refused("it is no JSON");
  }
  if (!isObject(tree) || tree["format"] !== format) throw refused("it says nothing of its format");
  if (tree["version"] !== version) {
    const stated = typeof tree["version"] === "number" ? tree["version"] : "no number";
    throw refused(`its version is ${stated}, this program reads ${version}`);
  }
  const { origins } = tree;
  if (!Array.isArray(origins)) throw refused("its origins are no list");
  const host = new Unpacker(origins.map((origin) => originOf(origin))).value(tree["host"], 0);
  if (!isHost(host)) throw refused("a part of the host is not there");
  return host;
}

function refused(why: string): InputError {
  return new InputError(`packed host: ${why}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Each origin once. */
class Origins {
  readonly list: unknown[] = [];
  readonly #places = new Map<string, number>();

  place(origin: object): number {
    const text = JSON.stringify(origin);
    let place = this.#places.get(text);
    if (place === undefined) {
      place = this.list.length;
      this.list.push(origin);
      this.#places.set(text, place);
    }
    return place;
  }
}

function pack(value: unknown, origins: Origins): unknown {
  if (typeof value === "bigint") return { $n: value.toString(16) };
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => pack(one, origins));
  if (value instanceof Uint8Array) return { $bytes: [value.length, hexOf(value)] };
  if (value instanceof Set) return { $set: [...value].map((one) => pack(one, origins)) };
  if (value instanceof Map) {
    return { $map: [...value].map(([key, one]) => [pack(key, origins), pack(one, origins)]) };
  }
  const packed: [string, unknown][] = [];
  for (const [key, one] of Object.entries(value)) {
    if (one === undefined) continue;
    packed.push([key, key === "origin" ? origins.place(one as object) : pack(one, origins)]);
  }
  return Object.fromEntries(packed);
}

function hexOf(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  let text = "";
  for (let i = 0; i < end; i++) text += bytes[i]!.toString(16).padStart(2, "0");
  return text;
}

class Unpacker {
  readonly #origins: readonly object[];
  #bytes = 0;

  constructor(origins: readonly object[]) {
    this.#origins = origins;
  }

  value(packed: unknown, depth: number): unknown {
    if (typeof packed !== "object" || packed === null) return packed;
    if (depth > deepest) throw refused(`values more than ${deepest} deep`);
    if (Array.isArray(packed)) return packed.map((one) => this.value(one, depth + 1));
    const entries = Object.entries(packed);
    const [first] = entries;
    if (first !== undefined && first[0].startsWith("$")) {
      if (entries.length > 1) throw refused(`${first[0].slice(0, 20)} beside other keys`);
      return this.#tagged(first[0], first[1], depth + 1);
    }
    return Object.fromEntries(
      entries.map(([key, one]) => [key, key === "origin" ? this.#origin(one) : this.value(one, depth + 1)]),
    );
  }

  #tagged(tag: string, packed: unknown, depth: number): unknown {
    if (tag === "$n") return bigintOf(packed);
    if (tag === "$bytes") return this.#bytesOf(packed);
    if (!Array.isArray(packed)) throw refused(`${tag.slice(0, 20)}: expected a list`);
    if (tag === "$set") return new Set(packed.map((one) => this.value(one, depth)));
    if (tag !== "$map") throw refused(`${tag.slice(0, 20)}: not known`);
    return new Map(
      packed.map((pair: unknown) => {
        if (!Array.isArray(pair) || pair.length !== 2) throw refused("$map: expected pairs");
        return [this.value(pair[0], depth), this.value(pair[1], depth)];
      }),
    );
  }

  #bytesOf(packed: unknown): Uint8Array {
    const [length, text] = Array.isArray(packed) ? (packed as unknown[]) : [];
    if (
      !(typeof length === "number" && Number.isInteger(length) && length >= 0 && length <= longest) ||
      !(typeof text === "string" && text.length <= 2 * length && /^(?:[0-9a-f]{2})*$/.test(text))
    ) {
      throw refused("$bytes: expected a length and hexadecimal digits");
    }
    this.#bytes += length;
    if (this.#bytes > mostBytes) throw refused(`more than ${mostBytes / 2 ** 20} MiB of bytes`);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < text.length; at += 2) bytes[at / 2] = Number.parseInt(text.slice(at, at + 2), 16);
    return bytes;
  }

  #origin(packed: unknown): object {
    const origin = typeof packed === "number" ? this.#origins[packed] : undefined;
    if (origin === undefined) throw refused("an origin is not there");
    return origin;
  }
}

function bigintOf(packed: unknown): bigint {
  const parts = typeof packed === "string" ? /^(-?)([0-9a-f]+)$/.exec(packed) : null;
  if (parts === null || parts[2]!.length > widest / 4) throw refused("$n: expected hexadecimal digits");
  const value = BigInt(`0x${parts[2]}`);
  return parts[1] === "" ? value : -value;
}

function originOf(packed: unknown): object {
  const { source, place } = isObject(packed) ? packed : {};
  if (typeof source !== "string" || !(place === undefined || typeof place === "string")) {
    throw refused("an origin without a source");
  }
  return place === undefined ? { source } : { source, place };
}

const lists = ["processors", "devices", "units", "interrupts", "machines", "descriptors", "missing"];

/** Whether the parts are there that every host has, at least as a kind of value. */
function isHost(value: unknown): value is HostState {
  if (!isObject(value) || typeof value["source"] !== "string") return false;
  const { system, firmware } = value;
  if (!isObject(system) || !isObject(firmware)) return false;
  return (
    system["parameters"] instanceof Map &&
    system["counters"] instanceof Map &&
    lists.every((name) => {
      const list = value[name];
      return Array.isArray(list) && list.every((one) => isObject(one));
    })
  );
}
