import { type AuditFinding, type HostFiles, audit } from "@intremap/core";
import { describe, expect, test } from "vitest";
import {
  type CapturedHost,
  captureFiles,
  capturedHosts,
  hostOf,
} from "../packages/cli/src/testing/captured-host.ts";
import { faulty, hostSeeds } from "./seed-host-faults.ts";

const opened = new Map<CapturedHost, Promise<HostFiles>>();

function filesOf(host: CapturedHost): Promise<HostFiles> {
  let files = opened.get(host);
  if (files === undefined) opened.set(host, (files = captureFiles(host)));
  return files;
}

function findings(files: HostFiles): readonly AuditFinding[] {
  return audit(hostOf(files)).findings;
}

function named({ rule, subject }: AuditFinding): object {
  return { rule, subject: subject.name };
}

describe("a fault made in a captured host", { timeout: 60_000 }, () => {
  test.each(hostSeeds.map((seed) => [seed.id, seed] as const))(
    "is found by its rule, and nothing else is: %s",
    async (_id, seed) => {
      const [found, ...others] = findings(faulty(seed, await filesOf(seed.host))).map(named);
      expect(others).toEqual([]);
      expect(found).toEqual(
        seed.subject === undefined
          ? { rule: seed.rule, subject: expect.any(String) as string }
          : { rule: seed.rule, subject: seed.subject },
      );
    },
  );

  test.each(capturedHosts)("is not there before it is made: %s", async (host) => {
    expect(findings(await filesOf(host)).map(named)).toEqual([]);
  });

  test("has an id of its own", () => {
    expect(new Set(hostSeeds.map(({ id }) => id)).size).toBe(hostSeeds.length);
  });
});
