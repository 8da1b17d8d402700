import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { Namespace } from '../netns/namespace.ts'
import { Running } from './running.ts'

/** A host on the stage: a namespace with one interface, `eth0`, in 10.99.0.0/16. */
export interface StageHost {
  readonly namespace: Namespace
  readonly address: string
}

/**
 * A small Internet of our own: hosts in namespaces, joined by a bridge in one more. Everything that was put on it,
 * processes and files too, goes when it is taken down.
 */
export class Stage {
  #folder = ''
  readonly #network = new Namespace('net')
  readonly #hosts: StageHost[] = []
  readonly #running: Running[] = []

  async create(): Promise<this> {
    this.#folder = mkdtempSync(join(tmpdir(), 'ringfence-stage-'))
    await this.#network.create()
    await this.#network.run('ip', 'link', 'add', 'br0', 'type', 'bridge')
    await this.#network.run('ip', 'link', 'set', 'br0', 'up')
    return this
  }

  /** More than one address may be given, separated by blanks: `10.99.0.2 10.99.0.3`. */
  async addHost(purpose: string, address: string): Promise<StageHost> {
    const namespace = await new Namespace(purpose).create()
    const port = `p${this.#hosts.length}`
    const addresses = address.split(' ')
    this.#hosts.push({ namespace, address: addresses[0]! })
    await execa('ip', [
      'link',
      'add',
      'eth0',
      'netns',
      namespace.name,
      'type',
      'veth',
      'peer',
      'name',
      port,
      'netns',
      this.#network.name,
    ])
    await this.#network.run('ip', 'link', 'set', port, 'master', 'br0', 'up')
    for (const each of addresses) await namespace.run('ip', 'addr', 'add', `${each}/16`, 'dev', 'eth0')
    await namespace.run('ip', 'link', 'set', 'eth0', 'up')
    return this.#hosts.at(-1)!
  }

  /** The bridge between the hosts, as a host of its own: its interface is `br0`, and it has no address. */
  get bridge(): StageHost {
    return { namespace: this.#network, address: '' }
  }

  /** Starts a program on a host; it is ended with the stage at the latest. */
  start(host: StageHost, command: string, args: readonly string[], options: { cwd?: string } = {}): Running {
    const running = new Running('ip', ['netns', 'exec', host.namespace.name, command, ...args], {
      cwd: options.cwd ?? this.folder,
    })
    this.#running.push(running)
    return running
  }

  get folder(): string {
    return this.#folder
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  async remove(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.end()))
    for (const { namespace } of this.#hosts) await namespace.remove()
    await this.#network.remove()
    if (this.#folder !== '') rmSync(this.#folder, { recursive: true, force: true })
  }
}
