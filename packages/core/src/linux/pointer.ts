/**
 * A pointer as printk prints it with `%p`: sixteen digits that are a hash, which say no more than whether two are the
 * same.
 */
export function hashedPointer(name: string): string {
  let hash = 0x811c9dc5;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  return (hash >>> 0).toString(16).padStart(16, "0");
}
