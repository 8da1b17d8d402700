import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execa } from 'execa'
import type { FromRegistrar, Question, ToRegistrar } from '../../registrar/messages.ts'
import { type Address, parseAddress } from '../../registrar/net/address.ts'
import type { RegistrarSettings } from '../../registrar/open-registrar.ts'
import { until } from '../registrar/clients.ts'
import { SETTINGS as TWO_ACCOUNTS } from '../registrar/settings.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Compiles the registrar's room by itself, which also shows that it needs no other; returns the path of its entry. */
export async function compileRegistrar(folder: string): Promise<string> {
  const project = join(folder, 'tsconfig.json')
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        outDir: folder,
        rootDir: ROOT,
        typeRoots: [join(ROOT, 'node_modules/@types')],
      },
      include: [join(ROOT, 'registrar')],
      exclude: [],
    }),
  )
  await execa(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', project], {
    timeout: 60_000,
  })
  return join(folder, 'registrar/main.js')
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'ringfence-interop-'))
}

export const SETTINGS: RegistrarSettings = {
  ...TWO_ACCOUNTS,
  listen: [{ host: parseAddress('127.0.0.1') as Address, port: 0 }],
  minExpires: 10,
}

/** The registrar in a process of its own, as the daemon has it. */
export class RegistrarChild {
  readonly heard: FromRegistrar[] = []
  readonly process: ChildProcess
  #id = 0

  constructor(entry: string) {
    this.process = fork(entry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.process.on('message', (message: FromRegistrar) => this.heard.push(message))
  }

  /** The port that it serves. */
  async start(more: Partial<RegistrarSettings> = {}): Promise<number> {
    this.#tell({ type: 'start', settings: { ...SETTINGS, ...more } })
    await until(
      () => this.all('ready').length > 0 || this.all('failed').length > 0,
      'the registrar to be ready',
    )
    const [failed] = this.all('failed')
    if (failed) throw new Error(failed.message)
    return this.all('ready')[0]!.listening[0]!.port
  }

  async ask(question: Question) {
    const id = ++this.#id
    const answer = () => this.all('answer').find((message) => message.id === id)
    this.#tell({ type: 'ask', id, question })
    await until(() => answer() !== undefined, `an answer to ${question.kind}`)
    return answer()!.answer
  }

  async bindings() {
    const answer = await this.ask({ kind: 'bindings' })
    return answer.kind === 'bindings' ? answer.bindings : []
  }

  all<T extends FromRegistrar['type']>(type: T): Extract<FromRegistrar, { type: T }>[] {
    return this.heard.filter(
      (message): message is Extract<FromRegistrar, { type: T }> => message.type === type,
    )
  }

  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    this.process.kill(signal)
    await this.ended()
  }

  async ended(): Promise<number | null> {
    const gone = () => this.process.exitCode !== null || this.process.signalCode !== null
    await until(gone, 'the registrar’s process to end')
    return this.process.exitCode
  }

  #tell(message: ToRegistrar): void {
    this.process.send(message)
  }
}
