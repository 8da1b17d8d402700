import { useSignal } from '@preact/signals'
import { useRef } from 'preact/hooks'
import { block } from './ask.ts'
import { sayBlocked, showTimeLeft } from './format.ts'
import { say } from './toasts.tsx'
import { unblockWithUndo } from './unblock.ts'

const DURATIONS: readonly (readonly [seconds: number, words: string])[] = [
  [600, '10 minutes'],
  [3600, '1 hour'],
  [86_400, '1 day'],
  [604_800, '7 days'],
  [0, 'until unblocked'],
]

export function BlockForm() {
  const error = useSignal('')
  const target = useRef<HTMLInputElement>(null)

  async function submit(event: SubmitEvent) {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const fields = new FormData(form)
    const seconds = Number(fields.get('seconds'))
    const reason = String(fields.get('reason')).trim()
    try {
      const made = await block({
        target: String(fields.get('target')).trim(),
        ...(seconds > 0 ? { seconds } : {}),
        ...(reason === '' ? {} : { reason }),
      })
      error.value = ''
      form.reset()
      const time = seconds > 0 ? `for ${showTimeLeft(seconds)}` : 'until it is unblocked'
      say({
        text: sayBlocked(made, time),
        tone: 'done',
        undo: { label: 'Unblock', run: () => unblockWithUndo(made.target) },
      })
    } catch (refused) {
      error.value = (refused as Error).message
      target.current?.focus()
    }
  }

  return (
    <section class="card">
      <h2>Block an address</h2>
      <form class="block-form" onSubmit={submit} data-testid="block-form">
        <label class="wide">
          Address or prefix
          <input
            name="target"
            required
            maxLength={100}
            placeholder="203.0.113.7 or 203.0.113.0/24"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            aria-invalid={error.value !== ''}
            aria-describedby="block-error"
            data-testid="block-target"
            ref={target}
          />
        </label>
        <label>
          For
          <select name="seconds" data-testid="block-seconds">
            {DURATIONS.map(([seconds, words]) => (
              <option key={seconds} value={seconds} selected={seconds === 3600}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <label>
          Reason
          <input name="reason" maxLength={200} autocomplete="off" data-testid="block-reason" />
        </label>
        <p id="block-error" class="wrong wide" role="alert" data-testid="block-error">
          {error}
        </p>
        <div class="buttons wide">
          <button type="submit" class="primary" data-testid="block-submit">
            Block all SIP
          </button>
          <button
            type="button"
            data-testid="unblock-submit"
            onClick={() => {
              if (target.current!.reportValidity()) void unblockWithUndo(target.current!.value.trim())
            }}
          >
            Unblock
          </button>
        </div>
      </form>
    </section>
  )
}
