import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel, type IptablesKernelOptions } from '../../rules/iptables-kernel.ts'
import { Namespace } from './namespace.ts'

export interface Received {
  readonly source: string
  readonly port: number
  readonly text: string
}

/** The protected host, in both families. */
export const HOST4 = '10.99.0.1'
export const HOST6 = 'fd99::1'

/** What the outside sends from: some IPv4 addresses, two IPv6 addresses in one /64, one in another. */
export const OUTSIDE4 = Array.from({ length: 40 }, (_, i) => `10.99.0.${10 + i}`)
export const OUTSIDE6 = ['fd99:0:0:1::1', 'fd99:0:0:1::2', 'fd99:0:0:2::1']

/** Two namespaces joined by a veth pair: a host with SIP ports behind our rules, and the outside. */
export class RulesStage {
  readonly host = new Namespace('host')
  readonly outside = new Namespace('outside')
  engine!: RulesEngine
  hostMac = ''
  #peers: { readonly host: Peer; readonly outside: Peer } | undefined
  #kernels: IptablesKernel[] = []
  readonly #iptables: NonNullable<IptablesKernelOptions['iptables']>

  constructor(iptables: NonNullable<IptablesKernelOptions['iptables']>) {
    this.#iptables = iptables
  }

  async open(): Promise<this> {
    const { host, outside } = this
    await host.create()
    await outside.create()
    await host.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name)
    for (const namespace of [host, outside]) {
      await namespace.run(
        'sysctl',
        '-qw',
        'net.ipv4.conf.all.rp_filter=0',
        'net.ipv4.conf.default.rp_filter=0',
      )
      await namespace.run('ip', 'link', 'set', 'eth0', 'up')
    }
    await host.run('ip', 'addr', 'add', `${HOST4}/24`, 'dev', 'eth0')
    await host.run('ip', 'addr', 'add', `${HOST6}/32`, 'dev', 'eth0', 'nodad')
    for (const text of OUTSIDE4) await outside.run('ip', 'addr', 'add', `${text}/24`, 'dev', 'eth0')
    for (const text of OUTSIDE6) await outside.run('ip', 'addr', 'add', `${text}/32`, 'dev', 'eth0', 'nodad')
    this.hostMac = (await host.run('cat', '/sys/class/net/eth0/address')).trim()
    this.#peers = { host: new Peer(host), outside: new Peer(outside) }
    for (const port of [5060, 5080]) {
      for (const address of [HOST4, HOST6])
        await this.#peers.host.ask({ command: 'listenUdp', address, port })
    }
    await this.#peers.host.ask({ command: 'listenTcp', address: HOST4, port: 5060 })
    this.engine = this.newEngine()
    return this
  }

  /** Another engine for the same kernel, as after a restart of the daemon. */
  newEngine(): RulesEngine {
    const kernel = new IptablesKernel({ iptables: this.#iptables, netns: this.host.name })
    this.#kernels.push(kernel)
    return new RulesEngine({ kernel, clock: Date.now })
  }

  /** Sends datagrams one after the other, and gives those that arrived. */
  async send(options: {
    readonly from: string
    readonly port?: number
    readonly toPort?: number
    readonly texts: readonly string[]
  }): Promise<readonly Received[]> {
    const { from, port = 5060, toPort = 5060, texts } = options
    const to = from.includes(':') ? HOST6 : HOST4
    return this.arrivals(() => this.#peers!.outside.ask({ command: 'send', from, port, to, toPort, texts }))
  }

  /** What arrives while something is done. A datagram to a port without rules marks the end. */
  async arrivals(act: () => Promise<unknown>): Promise<readonly Received[]> {
    const before = (await this.#received()).length
    await act()
    const mark = `the end ${process.hrtime.bigint()}`
    await this.#peers!.outside.ask({
      command: 'send',
      from: OUTSIDE4[19],
      port: 9,
      to: HOST4,
      toPort: 5080,
      texts: [mark],
    })
    await this.#until((received) => received.some(({ text }) => text === mark), 'the mark did not arrive')
    const all = (await this.#peers!.host.ask({ command: 'drained' })) as readonly Received[]
    return all.slice(before).filter(({ text }) => text !== mark)
  }

  async connect(from: string, name: string): Promise<'connected' | 'silence'> {
    const answer = await this.#peers!.outside.ask({ command: 'connect', from, to: HOST4, toPort: 5060, name })
    return (answer as { outcome: 'connected' | 'silence' }).outcome
  }

  /** Writes on a connection and waits until the host has read it. */
  async write(name: string, text: string): Promise<void> {
    await this.#peers!.outside.ask({ command: 'write', name, text })
    await this.#until((received) => received.some((one) => one.text === text), `${text} did not arrive`)
  }

  async close(): Promise<void> {
    await this.#peers?.host.end()
    await this.#peers?.outside.end()
    await this.engine?.close()
    for (const kernel of this.#kernels) await kernel.close()
    await this.outside.remove()
    await this.host.remove()
  }

  async #until(isThere: (received: readonly Received[]) => boolean, otherwise: string): Promise<void> {
    for (const deadline = Date.now() + 5_000; !isThere(await this.#received()); ) {
      if (Date.now() > deadline) throw new Error(otherwise)
    }
  }

  async #received(): Promise<readonly Received[]> {
    return (await this.#peers!.host.ask({ command: 'received' })) as readonly Received[]
  }
}

const PEER = fileURLToPath(new URL('rules-peer.mjs', import.meta.url))

class Peer {
  readonly #child
  readonly #lines: AsyncIterator<string>

  constructor(namespace: Namespace) {
    this.#child = execa('ip', ['netns', 'exec', namespace.name, process.execPath, PEER], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
      buffer: false,
      reject: false,
    })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async ask(command: Readonly<Record<string, unknown>>): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the peer ended at ${JSON.stringify(command)}`)
    return JSON.parse(value)
  }

  async end(): Promise<void> {
    this.#child.stdin.end()
    await this.#child
  }
}
