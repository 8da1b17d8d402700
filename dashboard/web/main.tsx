import { effect } from '@preact/signals'
import { render } from 'preact'
import './page.css'
import { isLoggedIn } from './ask.ts'
import { keepConnected } from './connect.ts'
import { LoginView } from './login-view.tsx'
import { MainView, STATE_WORDS } from './main-view.tsx'
import { connection, live, view } from './state.ts'
import { Toasts } from './toasts.tsx'

function Page() {
  return (
    <>
      {view.value === 'login' && <LoginView />}
      {view.value === 'main' && <MainView />}
      <Toasts />
    </>
  )
}

effect(() => {
  const state = connection.value === 'lost' ? 'lost' : live.value?.state
  document.title = state ? `${STATE_WORDS[state]} · Ringfence` : 'Ringfence'
})
keepConnected()
render(<Page />, document.getElementById('app')!)
// Where the host does not answer, the main view says so and keeps trying.
view.value = (await isLoggedIn()) === false ? 'login' : 'main'
