/** `1.7 MB` */
export function bytes(count: number): string {
  if (!Number.isFinite(count)) return "";
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  let value = count;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at++;
  }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** `1 entry`, `12,000 entries` */
export function many(count: number, one: string, several: string = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : several}`;
}
