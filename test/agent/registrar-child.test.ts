import { pino } from 'pino'
import { expect, test, vi } from 'vitest'
import { defaultConfig } from '../../agent/config/read-config.ts'
import type { KeptChildOptions } from '../../agent/kept-child.ts'
import { RegistrarChild } from '../../agent/registrar-child.ts'
import type { FromRegistrar, ToRegistrar } from '../../registrar/messages.ts'

const TAKEN = 'the registrar cannot listen on UDP 10.99.0.1:5060: another program holds that port'

/** The process: what it was told last, and the means to speak in its name. */
const process = vi.hoisted(() => ({
  options: undefined as KeptChildOptions<ToRegistrar, FromRegistrar> | undefined,
}))

vi.mock('../../agent/kept-child.ts', () => ({
  KeptChild: class {
    readonly running = true
    constructor(options: KeptChildOptions<ToRegistrar, FromRegistrar>) {
      process.options = options
    }
    start(): void {
      process.options!.onStarting()
    }
    /** One that does not listen yet, as the real one answers then. */
    tell(message: ToRegistrar): void {
      if (message.type !== 'ask') return
      const refused = {
        kind: 'refused',
        refusal: 'not-started',
        message: 'the registrar is not running',
      } as const
      process.options!.onMessage({ type: 'answer', id: message.id, answer: refused })
    }
    async stop(): Promise<void> {}
  },
}))

test('a registrar that is just being tried again refuses with the reason for which it failed before', async () => {
  const config = defaultConfig()
  const child = new RegistrarChild({
    config: () => ({ ...config, registrar: { ...config.registrar, enabled: true } }),
    policy: () => config.policy,
    log: pino({ level: 'silent' }),
    onVerdict: () => {},
    onChange: () => {},
  })
  const add = () => child.addAccount({ user: '1010', password: 'pw1010' })
  child.start()
  await expect(add()).rejects.toThrow('The registrar does not answer: the registrar is starting.')
  process.options!.onMessage({ type: 'failed', code: 'port-in-use', message: TAKEN })
  process.options!.onEnded('the registrar ended (exit code 1); it starts again in 250 ms')
  child.start()
  await expect(add()).rejects.toThrow(`The registrar does not answer: ${TAKEN}.`)
})
