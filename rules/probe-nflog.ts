import { KernelError } from './kernel.ts'
import { runProgram } from './run-program.ts'

/** An own chain, so that whatever is left of it is taken away as one of another version. Nothing jumps to it. */
const CHAIN = 'RINGFENCE-PROBE'

/**
 * Whether the kernel and its iptables take rules of the log as we write them: by loading one into a chain that nobody
 * goes to, and taking it away. One such rule that is refused would have the whole restore refused. To be asked before
 * anybody else writes rules of ours.
 */
export async function probeNflog({ netns }: { readonly netns?: string } = {}): Promise<boolean> {
  const restore = (lines: readonly string[]) =>
    runProgram({
      program: 'iptables-restore',
      arguments: ['--noflush', '--wait', '10'],
      input: ['*raw', ...lines, 'COMMIT', ''].join('\n'),
      netns,
    })
  const remove = () => restore([`:${CHAIN} - [0:0]`, `-F ${CHAIN}`, `-X ${CHAIN}`])
  try {
    await restore([
      `:${CHAIN} - [0:0]`,
      `-A ${CHAIN} -j NFLOG --nflog-prefix p --nflog-group 65535 --nflog-size 2048 --nflog-threshold 1`,
    ])
    await remove()
    return true
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    await remove().catch(() => {})
    return false
  }
}
