import { useSignal } from '@preact/signals'
import { login } from './ask.ts'
import { Mark } from './mark.tsx'
import { view } from './state.ts'

export function LoginView() {
  const error = useSignal('')
  const busy = useSignal(false)

  async function submit(event: SubmitEvent) {
    event.preventDefault()
    const field = (event.currentTarget as HTMLFormElement).elements.namedItem('password') as HTMLInputElement
    busy.value = true
    try {
      await login(field.value)
      view.value = 'main'
    } catch (refused) {
      error.value = (refused as Error).message
      field.select()
      field.focus()
    } finally {
      busy.value = false
    }
  }

  return (
    <main class="login">
      <form class="card" onSubmit={submit} data-testid="login-form">
        <h1>
          <Mark /> Ringfence
        </h1>
        <input type="text" name="username" value="admin" autocomplete="username" hidden readOnly />
        <label>
          Password
          <input
            type="password"
            name="password"
            required
            autocomplete="current-password"
            aria-invalid={error.value !== ''}
            aria-describedby="login-error"
            data-testid="login-password"
            ref={focusOnce}
          />
        </label>
        <p id="login-error" class="wrong" role="alert" data-testid="login-error">
          {error}
        </p>
        <button type="submit" class="primary" disabled={busy} data-testid="login-submit">
          Log in
        </button>
        <p class="hint">
          The password is in the file <code>dashboard.password</code> beside the configuration on the host.
        </p>
      </form>
    </main>
  )
}

/** The one thing to do here is to type the password. */
function focusOnce(field: HTMLInputElement | null): void {
  field?.focus()
}
