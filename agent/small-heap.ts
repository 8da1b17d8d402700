import { setFlagsFromString } from 'node:v8'

/**
 * Has V8 collect before its heap has grown by more than so many percent beyond what lived at the last collection. By
 * itself it lets a heap of 40 MB grow to more than twice that while there is memory, which on a softswitch's host is not
 * ours. Flags that a V8 does not know it ignores.
 */
export function growHeapBy(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`)
}

/** Keeps what is new at V8's first size, 1 MB, where few objects are made: otherwise that grows to 16 MB, three times. */
export function keepNewObjectsFew(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
