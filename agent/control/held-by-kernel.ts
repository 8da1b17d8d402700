import { familyOf, type Source } from '../../registrar/net/address.ts'
import { KernelError } from '../../rules/kernel.ts'
import { setName } from '../../rules/names.ts'
import { runProgram } from '../../rules/run-program.ts'
import type { HeldByKernel } from '../../rules/trace/trace.ts'

/**
 * Which of the sets that the kernel fills by itself hold a source now, by `ipset test`, which changes nothing. Null
 * where the kernel cannot be asked, as when it holds no sets of ours.
 */
export async function heldByKernel({ address, port }: Source): Promise<HeldByKernel | null> {
  const family = familyOf(address)
  const [asked, seen, wsip] = await Promise.all([
    isHeld(setName('asked', family), address),
    isHeld(setName('seen', family), `${address},udp:${port}`),
    isHeld(setName('wsip', family), address),
  ])
  if (asked === undefined || seen === undefined || wsip === undefined) return null
  return { asked, seen, wsip }
}

async function isHeld(set: string, element: string): Promise<boolean | undefined> {
  try {
    await runProgram({ program: 'ipset', arguments: ['test', set, element], netns: undefined })
    return true
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    return error.message.includes('is NOT in set') ? false : undefined
  }
}
