import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import type { DesiredState } from '../../rules/desired-state.ts'
import type { ChainName, SetPurpose } from '../../rules/names.ts'
import { pcapFile } from '../captures.ts'
import { desired } from '../rules/desired.ts'
import { type Backend, loadRules, programs } from '../stage/load-rules.ts'
import { Place } from '../stage/topology.ts'
import { Namespace } from './namespace.ts'

export type Family = 4 | 6

export interface Received {
  readonly source: string
  readonly port: number
  readonly toPort: number
  readonly text: string
}

export interface Sending {
  readonly from: string
  readonly port?: number
  readonly to?: string
  readonly toPort?: number
  readonly texts: readonly string[]
}

/** The protected host: on the cable that rules look at, with two addresses, and on one that they do not. */
export const HOST = { 4: '10.99.0.1', 6: 'fd99::1' } as const
export const HOST_TOO = { 4: '10.99.0.3', 6: 'fd99::3' } as const
export const HOST_ASIDE = '10.98.0.1'
export const OUTSIDE_ASIDE = '10.98.0.2'
/** The host's Ethernet address, as `test/packets.ts` writes it into frames. */
const HOST_MAC = '02:00:00:00:00:02'
const PORTION = 100
/** No rule is ever asked for this port. */
export const FREE_PORT = 5080

/**
 * Two namespaces joined by a veth pair: a host with SIP ports behind our rules, and the outside, which owns all of
 * 10.64.0.0/11 and fd64::/16 and so can have sockets on any of these addresses.
 */
export class RulesStage {
  readonly host = new Namespace('host')
  readonly outside = new Namespace('outside')
  readonly backend: Backend
  readonly #place = new Place(this.host)
  readonly #folder = mkdtempSync(join(tmpdir(), 'ringfence-packets-'))
  #peers: { readonly host: Peer; readonly outside: Peer } | undefined
  #freshOnes = 0
  #marks = 0

  constructor(backend: Backend) {
    this.backend = backend
  }

  async open(): Promise<this> {
    const { host, outside } = this
    await host.create()
    await outside.create()
    for (const namespace of [host, outside]) {
      await namespace.run(
        'sysctl',
        '-qw',
        'net.ipv4.conf.all.rp_filter=0',
        'net.ipv4.conf.default.rp_filter=0',
        'net.ipv6.conf.all.accept_dad=0',
        'net.ipv6.conf.default.accept_dad=0',
        'net.ipv6.ip_nonlocal_bind=1',
      )
    }
    for (const device of ['eth0', 'eth1']) {
      const mac = device === 'eth0' ? ['address', HOST_MAC] : []
      await host.run(
        'ip',
        'link',
        'add',
        device,
        ...mac,
        'type',
        'veth',
        'peer',
        'name',
        device,
        'netns',
        outside.name,
      )
      for (const namespace of [host, outside]) await namespace.run('ip', 'link', 'set', device, 'up')
    }
    const addresses = [
      [host, `${HOST[4]}/24`, 'eth0'],
      [host, `${HOST[6]}/64`, 'eth0'],
      [host, `${HOST_TOO[4]}/24`, 'eth0'],
      [host, `${HOST_TOO[6]}/64`, 'eth0'],
      [host, `${HOST_ASIDE}/24`, 'eth1'],
      [outside, '10.99.0.2/24', 'eth0'],
      [outside, 'fd99::2/64', 'eth0'],
      [outside, `${OUTSIDE_ASIDE}/24`, 'eth1'],
    ] as const
    for (const [namespace, address, device] of addresses) {
      await namespace.run('ip', 'addr', 'add', address, 'dev', device)
    }
    await outside.run('ip', 'route', 'add', 'local', '10.64.0.0/11', 'dev', 'lo')
    await outside.run('ip', '-6', 'route', 'add', 'local', 'fd64::/16', 'dev', 'lo')
    await host.run('ip', 'route', 'add', '10.64.0.0/11', 'via', '10.99.0.2')
    await host.run('ip', '-6', 'route', 'add', 'fd64::/16', 'via', 'fd99::2')
    this.#peers = { host: new Peer(host), outside: new Peer(outside) }
    for (const address of [...Object.values(HOST), ...Object.values(HOST_TOO), HOST_ASIDE]) {
      for (const port of [5060, 5062, FREE_PORT])
        await this.#host.ask({ command: 'listenUdp', address, port })
      for (const port of [5060, FREE_PORT]) await this.#host.ask({ command: 'listenTcp', address, port })
    }
    return this
  }

  /** The kernel holds this desired state and nothing else: no bucket, element or counter of before. */
  async hold(parts: Partial<DesiredState> = {}): Promise<void> {
    const empty = '*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n'
    for (const program of programs(this.backend)) await this.host.feed(empty, `${program}-restore`)
    await this.host.run('ipset', 'destroy')
    await this.change(parts)
  }

  /** The kernel holds this desired state; elements that it held already stay, and so do buckets. */
  async change(parts: Partial<DesiredState> = {}): Promise<void> {
    await loadRules(this.#place, this.backend, desired(parts))
  }

  /** An address that nothing is known of, in a /24 (or /48) of its own. */
  fresh(family: Family): string {
    const number = ++this.#freshOnes
    return family === 4 ? `10.64.${number}.7` : `fd64:0:${number.toString(16)}:1::7`
  }

  /** Sends datagrams from a socket, and gives those that arrived. */
  async send({
    from,
    port = 5060,
    to = HOST[familyOf(from)],
    toPort = 5060,
    texts,
  }: Sending): Promise<readonly Received[]> {
    return this.#portions(texts, (some) =>
      this.#outside.ask({ command: 'send', from, port, to, toPort, texts: some }),
    )
  }

  /** How many of them arrived. */
  async passed(sending: Sending): Promise<number> {
    return (await this.send(sending)).length
  }

  /** The softswitch sends; gives what arrived outside, or at itself where it sent to itself. */
  async reply(
    sending: Partial<Sending> & Pick<Sending, 'texts'> & { readonly to: string },
  ): Promise<readonly Received[]> {
    const { to, from = HOST[familyOf(to)], port = 5060, toPort = 5060, texts } = sending
    const own = [HOST, HOST_TOO].flatMap((each) => Object.values<string>(each)).includes(to)
    const receiver = own ? this.#host : this.#outside
    if (!own) await this.#outside.ask({ command: 'listenUdp', address: to, port: toPort })
    const text = `mark ${this.#marks++}`
    await this.#host.ask({ command: 'send', from, port, to, toPort, texts })
    const mark = own ? { from, port: 9, to, toPort: FREE_PORT } : { from, port, to, toPort }
    await this.#host.ask({ command: 'send', ...mark, texts: [text] })
    const taken = (await receiver.ask({ command: 'takeUntil', text, within: 5_000 })) as readonly Received[]
    return taken.filter((one) => one.text !== text)
  }

  /** Puts frames on the cable as they are, forged or broken, and gives the datagrams that arrived. */
  async inject(frames: readonly Buffer[]): Promise<readonly Received[]> {
    return this.#portions(frames, (some) => this.transmit(some))
  }

  /** `perSecond`: none means as fast as it goes. */
  async transmit(frames: readonly Buffer[], options: { readonly perSecond?: number } = {}): Promise<void> {
    const file = join(this.#folder, `frames-${process.hrtime.bigint()}.pcap`)
    writeFileSync(file, pcapFile(frames.map((bytes) => ({ bytes }))))
    const pace = options.perSecond ? `--pps=${options.perSecond}` : '--topspeed'
    const said = await this.outside.run('tcpreplay', '-i', 'eth0', pace, '--preload-pcap', file)
    rmSync(file)
    if (!said.includes(`Actual: ${frames.length} packets`)) throw new Error(`tcpreplay lost frames:\n${said}`)
  }

  /** What arrives while something is done. A datagram to a port without rules marks the end. */
  async arrivals(act: () => Promise<unknown>): Promise<readonly Received[]> {
    await act()
    const text = `mark ${this.#marks++}`
    const mark = { from: '10.99.0.2', port: 9, to: HOST[4], toPort: FREE_PORT, texts: [text] }
    await this.#outside.ask({ command: 'send', ...mark })
    const taken = await this.#host.ask({ command: 'takeUntil', text, within: 5_000 })
    return (taken as readonly Received[]).filter((one) => one.text !== text)
  }

  async connect(options: {
    readonly from: string
    readonly name: string
    readonly to?: string
    readonly toPort?: number
  }): Promise<'connected' | 'silence'> {
    const { from, name, to = HOST[familyOf(from)], toPort = 5060 } = options
    const answer = await this.#outside.ask({ command: 'connect', from, to, toPort, name })
    return (answer as { outcome: 'connected' | 'silence' }).outcome
  }

  /** How many of these connections came about; they are named `source 0` and on. */
  async connectMany(from: string, amount: number): Promise<number> {
    let connected = 0
    for (let i = 0; i < amount; i++) {
      if ((await this.connect({ from, name: `${from} ${i}` })) === 'connected') connected++
    }
    return connected
  }

  /** Writes on a connection and waits until the host has read it. */
  async write(name: string, text: string): Promise<void> {
    await this.#outside.ask({ command: 'write', name, text })
    await this.#host.ask({ command: 'takeUntil', text, within: 5_000 })
  }

  /** Writes on a connection without asking whether it arrives. */
  async say(name: string, text: string): Promise<void> {
    await this.#outside.ask({ command: 'write', name, text })
  }

  async hangUp(name: string): Promise<void> {
    await this.#outside.ask({ command: 'hangUp', name })
  }

  /** Packets that the rules of a chain counted, in order. */
  async counts(
    chain: ChainName | 'PREROUTING',
    family: Family,
  ): Promise<readonly { rule: string; packets: number }[]> {
    const saved = await this.host.run(
      `${programs(this.backend)[family === 4 ? 0 : 1]}-save`,
      '-c',
      '-t',
      'raw',
    )
    return [...saved.matchAll(/^\[(\d+):\d+\] -A (\S+) ?(.*)$/gm)]
      .filter(([, , name]) => name === chain)
      .map(([, packets, , rule]) => ({ rule: rule!, packets: Number(packets) }))
  }

  /** The elements of a set, as `ipset` writes them. */
  async elements(purpose: SetPurpose, family: Family): Promise<readonly string[]> {
    const saved = await this.host.run('ipset', 'save', `rf-${purpose}${family}`)
    return [...saved.matchAll(/^add \S+ (.*)$/gm)].map(([, element]) => element!)
  }

  /** How many first packets the kernel remembers, those of a moment too old included. */
  async noted(family: Family): Promise<number> {
    const listed = await this.host.run('ipset', 'list', '-t', `rf-seen${family}`)
    return Number(/^Number of entries: (\d+)$/m.exec(listed)?.[1])
  }

  async close(): Promise<void> {
    await this.#peers?.host.end()
    await this.#peers?.outside.end()
    await this.outside.remove()
    await this.host.remove()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** A socket holds some 250 datagrams that were not read yet, so no more than a hundred are under way. */
  async #portions<T>(
    all: readonly T[],
    send: (some: readonly T[]) => Promise<unknown>,
  ): Promise<readonly Received[]> {
    const received: Received[] = []
    for (let at = 0; at < all.length; at += PORTION) {
      received.push(...(await this.arrivals(() => send(all.slice(at, at + PORTION)))))
    }
    return received
  }

  get #host(): Peer {
    return this.#peers!.host
  }

  get #outside(): Peer {
    return this.#peers!.outside
  }
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
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
    const answer = JSON.parse(value)
    if (answer.error !== undefined)
      throw new Error(`${JSON.stringify(command).slice(0, 300)}: ${answer.error}`)
    return answer
  }

  async end(): Promise<void> {
    this.#child.stdin.end()
    await this.#child
  }
}
