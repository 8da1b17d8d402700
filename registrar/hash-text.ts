/**
 * FNV-1a, 32 bits: a number for a name, where only the count of different names matters. Collisions made on purpose
 * only make their maker look like fewer.
 */
export function hashText(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
