import { captureDevices } from './interfaces.ts'
import { readLinkFacts } from './link-facts.ts'

/**
 * Where to listen for the traffic of the protected interfaces, as they stand now, so that each packet is seen once.
 * Where the facts cannot be read all of them are listened on: to count twice is better than to be blind.
 */
export async function devicesToWatch(protectedInterfaces: readonly string[]): Promise<readonly string[]> {
  if (protectedInterfaces.length < 2) return protectedInterfaces
  try {
    return captureDevices(protectedInterfaces, await readLinkFacts())
  } catch {
    return protectedInterfaces
  }
}
