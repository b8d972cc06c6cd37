import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@intremap/core";
import { afterAll, beforeEach, expect, test } from "vitest";
import { OutputFile, writeOutput } from "./output-file.ts";

const folder = mkdtempSync(join(tmpdir(), "intremap-replace-"));
const path = join(folder, "report.html");
beforeEach(() => {
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const modeOf = (file: string): number => statSync(file).mode & 0o777;

test("a file that is not there is made, and one that is there is replaced by another", () => {
  writeOutput(path, "old", "--html");
  expect(modeOf(path)).toBe(0o644 & ~process.umask());
  const { ino } = statSync(path);
  writeOutput(path, "new", "--html");
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(statSync(path).ino).not.toBe(ino);
  expect(readdirSync(folder)).toEqual(["report.html"]);
});

test.each([0o600, 0o640, 0o666, 0o755])("who may read and write it stays as it was: %o", (mode) => {
  writeFileSync(path, "old");
  chmodSync(path, mode);
  writeOutput(path, "new", "--html");
  expect(modeOf(path)).toBe(mode);
  expect(readFileSync(path, "utf8")).toBe("new");
});

test("through a link the file that it points to is written, whether it is there or not", () => {
  mkdirSync(join(folder, "elsewhere"));
  const target = join(folder, "elsewhere/target");
  symlinkSync("elsewhere/target", path);
  for (const content of ["first", "second"]) {
    writeOutput(path, content, "--html");
    expect(readlinkSync(path)).toBe("elsewhere/target");
    expect(lstatSync(target).isFile()).toBe(true);
    expect(readFileSync(target, "utf8")).toBe(content);
  }
  expect(readdirSync(join(folder, "elsewhere"))).toEqual(["target"]);
});

test("a pipe gets the text, and stays a pipe", async () => {
  execFileSync("mkfifo", [path]);
  // Its output goes to a file: nobody here reads while the pipe is written.
  const got = openSync(join(folder, "got"), "w");
  const reader = spawn("cat", [path], { stdio: ["ignore", got, "inherit"] });
  const long = "text\n".repeat(100_000);
  writeOutput(path, long, "--html");
  await once(reader, "exit");
  closeSync(got);
  expect(readFileSync(join(folder, "got"), "utf8")).toBe(long);
  expect(lstatSync(path).isFIFO()).toBe(true);
  expect(readdirSync(folder)).toEqual(["got", "report.html"]);
});

test.each([
  ["a folder that is not there", () => join(folder, "none/x.html"), "no such folder"],
  ["a folder", () => folder, "is a directory"],
  ["a link to a folder that is not there", linkAway, "no such file"],
  ["below a file", belowFile, "ENOTDIR"],
])("%s is refused in one line, and nothing is left of it", (_, make, reason) => {
  const wrong = make();
  const before = readdirSync(folder);
  const writing = (): void => writeOutput(wrong, "text", "--html");
  expect(writing).toThrow(InputError);
  expect(writing).toThrow(`--html ${wrong}: ${reason}`);
  expect(readdirSync(folder)).toEqual(before);
  expect(existsSync(join(folder, "none"))).toBe(false);
});

function linkAway(): string {
  symlinkSync("none/x.html", path);
  return path;
}

function belowFile(): string {
  writeFileSync(path, "");
  return join(path, "x.html");
}

test("a file that is given up leaves the old one as it was, and nothing beside it", () => {
  writeFileSync(path, "old");
  const file = new OutputFile(path, "--timeline");
  file.write(Buffer.from("half"));
  expect(readdirSync(folder)).toHaveLength(2);
  file.abandon();
  expect(readdirSync(folder)).toEqual(["report.html"]);
  expect(readFileSync(path, "utf8")).toBe("old");
});
