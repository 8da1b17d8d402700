import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'

const ENVIRONMENT = { LC_ALL: 'C', NODE_OPTIONS: '' }

export type CableEnd = 'attacker' | 'server'

/**
 * Two network namespaces joined by a cable, and a folder for files; all of it goes with `remove`. The interface is
 * `eth0` at both ends. The whole of 10.97.0.0/16 lives at the attacker's end, so a flood can have any of its sources.
 */
export class Cable {
  static readonly SERVER = '10.98.0.1'
  readonly folder = mkdtempSync(join(tmpdir(), 'ringfence-bench-'))
  readonly names: Readonly<Record<CableEnd, string>> = {
    attacker: `rf-ba-${process.pid}`,
    server: `rf-bs-${process.pid}`,
  }
  /** The server's, as packets need it that are made by hand. */
  serverMac = ''

  async lay(): Promise<this> {
    const { attacker, server } = this.names
    await run('ip', ['netns', 'add', attacker])
    await run('ip', ['netns', 'add', server])
    const ends = ['eth0', 'netns', attacker, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', server]
    await run('ip', ['link', 'add', ...ends])
    await run('ip', ['-n', attacker, 'addr', 'add', '10.98.0.2/24', 'dev', 'eth0'])
    await run('ip', ['-n', server, 'addr', 'add', `${Cable.SERVER}/24`, 'dev', 'eth0'])
    for (const name of [attacker, server]) {
      await run('ip', ['-n', name, 'link', 'set', 'lo', 'up'])
      await run('ip', ['-n', name, 'link', 'set', 'eth0', 'up'])
    }
    await run('ip', ['-n', attacker, 'route', 'add', 'local', '10.97.0.0/16', 'dev', 'lo'])
    await run('ip', ['-n', server, 'route', 'add', '10.97.0.0/16', 'via', '10.98.0.2'])
    this.serverMac = (await this.run('server', 'cat', ['/sys/class/net/eth0/address'])).trim()
    return this
  }

  /** Runs a program at one end and gives what it wrote. */
  async run(end: CableEnd, program: string, args: readonly string[], timeout = 60_000): Promise<string> {
    return run('ip', this.#inside(end, program, args), timeout)
  }

  /** Starts a program at one end; whoever starts it ends it. */
  start(end: CableEnd, program: string, args: readonly string[]) {
    return execa('ip', this.#inside(end, program, args), {
      reject: false,
      stdin: 'ignore',
      env: ENVIRONMENT,
      maxBuffer: 1_000_000,
    })
  }

  async remove(): Promise<void> {
    for (const name of Object.values(this.names)) await execa('ip', ['netns', 'del', name], { reject: false })
    rmSync(this.folder, { recursive: true, force: true })
  }

  #inside(end: CableEnd, program: string, args: readonly string[]): string[] {
    return ['netns', 'exec', this.names[end], program, ...args]
  }
}

async function run(file: string, args: readonly string[], timeout = 60_000): Promise<string> {
  const { stdout } = await execa(file, args, { timeout, env: ENVIRONMENT })
  return stdout
}
