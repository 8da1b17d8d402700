import { block, unblock } from './ask.ts'
import { sayBlocked, secondsToGo, showTimeLeft } from './format.ts'
import { hostTime } from './state.ts'
import { attempt, say } from './toasts.tsx'

/** Unblocks at once and says so, with a button that blocks for the rest of the time again. */
export function unblockWithUndo(target: string): Promise<void> {
  return attempt(async () => {
    const { removed } = await unblock(target)
    const first = removed.find(({ kind }) => kind === 'block')
    if (removed.length === 0) {
      say({ text: `Nothing stood against ${target}.`, tone: 'done' })
    } else if (!first) {
      say({ text: `The suspension of ${target} is lifted.`, tone: 'done' })
    } else {
      say({
        text: `${target} is unblocked.`,
        tone: 'done',
        undo: {
          label: 'Block again',
          run: async () => {
            const seconds = secondsToGo(first, hostTime.peek())
            const made = await block({
              target: first.target,
              reason: shorten(first.reason),
              ...(seconds === undefined ? {} : { seconds }),
            })
            const time = seconds === undefined ? 'until it is unblocked' : `for ${showTimeLeft(seconds)}`
            say({ text: sayBlocked(made, `again ${time}`), tone: 'done' })
          },
        },
      })
    }
  })
}

/** What a verdict wrote need not fit the bounds of what an operator may write. */
function shorten(reason: string): string {
  return reason.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ').slice(0, 200)
}
