import { expect, test } from "vitest";
import { Progress } from "./progress.ts";

function watch(isTTY: boolean): { written: string[]; progress: Progress; at: (time: number) => void } {
  const written: string[] = [];
  let now = 0;
  const progress = new Progress({ write: (text) => written.push(text), isTTY }, () => now);
  return { written, progress, at: (time) => (now = time) };
}

test("progress shows on a terminal after a second, four times a second, and is wiped", () => {
  const { written, progress, at } = watch(true);
  for (let time = 0; time <= 1500; time += 100) {
    at(time);
    progress.show(() => `${time}`);
  }
  expect(written).toEqual(["\r\u001b[K1000", "\r\u001b[K1300"]);
  progress.clear();
  progress.clear();
  expect(written.slice(2)).toEqual(["\r\u001b[K"]);
});

test("progress stays silent where nobody watches, and on short input", () => {
  const piped = watch(false);
  piped.at(5000);
  piped.progress.show(() => "text");
  piped.progress.clear();
  const short = watch(true);
  short.progress.show(() => "text");
  short.progress.clear();
  expect([...piped.written, ...short.written]).toEqual([]);
});
