import { describe, expect, test } from "vitest";
import { run } from "../program.ts";
import { testIo } from "../testing/test-io.ts";

async function call(
  args: readonly string[],
  input?: string,
): Promise<{ status: number; out: string; err: string }> {
  const io = testIo(input);
  const status = await run(["cmdline", ...args], io);
  return { status, out: io.out(), err: io.err() };
}

async function json(args: readonly string[], input?: string): Promise<Record<string, unknown>> {
  return JSON.parse((await call([...args, "--json"], input)).out) as Record<string, unknown>;
}

describe("cmdline", () => {
  test("has the keys of its schema", async () => {
    expect(await json(["quiet intremap=nopost,posted_msi,foo -- x"])).toEqual({
      schema: "intremap/cmdline/1",
      vendor: "intel",
      kernel: "7.0",
      remapping: true,
      posting: false,
      sourceIdChecking: true,
      x2apicOptOut: true,
      postedMsi: false,
      reasons: {
        remapping: "the default",
        posting: "intremap=nopost",
        sourceIdChecking: "the default",
        x2apicOptOut: "the default",
        postedMsi: "intremap=posted_msi needs posting, which is off",
      },
      flags: expect.objectContaining({
        disable_irq_remap: false,
        disable_irq_post: true,
        enable_posted_msi: true,
      }) as object,
      taken: [
        { parameter: "intremap", item: "nopost", sets: { disable_irq_post: true } },
        { parameter: "intremap", item: "posted_msi", sets: { enable_posted_msi: true } },
      ],
      ignored: [{ parameter: "intremap", item: "foo", why: "no keyword begins it" }],
      init: "x",
    });
  });

  test("tells vendors and releases apart", async () => {
    expect(await json(["amd_iommu=off"])).toMatchObject({ remapping: true });
    expect(await json(["amd_iommu=off", "--vendor", "amd"])).toMatchObject({ remapping: false });
    const old = await json(["intremap=posted_msi", "--kernel", "6.9"]);
    expect(old).toMatchObject({ postedMsi: false, ignored: [{ item: "posted_msi" }] });
    expect(old["flags"]).not.toHaveProperty("enable_posted_msi");
  });

  test("says it for people, with the reason of each effect", async () => {
    const { status, out, err } = await call([
      "intremap=nopost,posted_msi intel_iommu=off nosid iommu=forcesac",
    ]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toContain("Linux 7.0 on Intel hardware that can do everything\n");
    expect(out).toMatch(/^posting +no +intremap=nopost$/m);
    expect(out).toMatch(/^posted MSI on the host +no +intremap=posted_msi needs posting, which is off$/m);
    expect(out).toMatch(/^intel_iommu=off +dmar_disabled = true, no_platform_optin = true$/m);
    expect(out).toMatch(/^nosid +the kernel has no such parameter$/m);
    expect((await call([""])).out).not.toContain("taken");
    expect((await call(["intremap=foo"])).out).toMatch(/^foo \(in intremap=\) +no keyword begins it$/m);
  });

  test("takes words, one line, or standard input", async () => {
    const reference = await json(["ro intremap=off"]);
    expect(await json(["ro", "intremap=off"])).toEqual(reference);
    expect(await json(["-"], "ro intremap=off\n")).toEqual(reference);
  });

  test.each([
    [
      ["x", "--kernel", "7"],
      /^intremap: --kernel "7": expected a release of Linux as major\.minor, such as 6\.12\n$/,
    ],
    [["x", "--kernel", "6.12.1"], /^intremap: --kernel "6\.12\.1": expected .*\n$/],
    [["x", "--vendor", "arm"], /^intremap: option '--vendor <vendor>' argument 'arm' is invalid.*\n$/],
    [[], /^intremap: missing required argument 'line'\n$/],
  ])("%j ends in one line and status 2", async (args, message) => {
    const { status, out, err } = await call(args);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toMatch(message);
  });
});
