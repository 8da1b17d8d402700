import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { Namespace } from '../netns/namespace.ts'
import { eventually } from './running.ts'

/** A datagram that reached a socket of a place. */
export interface Arrival {
  readonly to: string
  readonly toPort: number
  readonly from: string
  readonly fromPort: number
  readonly text: string
}

export interface Sending {
  readonly from: string
  readonly port?: number
  readonly to: string
  readonly toPort?: number
  readonly texts: readonly string[]
}

/** No rule is ever asked for this port: what is sent to it arrives, and tells that all before it has. */
const MARK_PORT = 5999

/** Places joined by cables of our own: phones, a gateway or bridge, a softswitch behind it. */
export class Topology {
  readonly #places: Place[] = []
  #marks = 0

  async place(purpose: string): Promise<Place> {
    const namespace = await new Namespace(purpose).create()
    const place = new Place(namespace)
    this.#places.push(place)
    await namespace.run(
      'sysctl',
      '-qw',
      'net.ipv4.conf.all.rp_filter=0',
      'net.ipv4.conf.default.rp_filter=0',
      'net.ipv6.conf.all.accept_dad=0',
      'net.ipv6.conf.default.accept_dad=0',
    )
    return place
  }

  /** A veth pair: interface `one[1]` of the place `one[0]`, and the same of the other. */
  async cable(one: readonly [Place, string], other: readonly [Place, string]): Promise<void> {
    const [place, device] = one
    await place.ip('link', 'add', device, 'type', 'veth', 'peer', 'name', other[1], 'netns', other[0].name)
    await place.ip('link', 'set', device, 'up')
    await other[0].ip('link', 'set', other[1], 'up')
  }

  /**
   * Sends datagrams one after the other, and gives what arrived at `at` meanwhile. `mark`: the address by which a
   * datagram from the sender reaches `at`, on `markAt` there (they differ where an address is translated on the way).
   */
  async arrivals(
    options: Sending & {
      readonly sender: Place
      readonly at: Place
      readonly mark?: string
      readonly markAt?: string
    },
  ): Promise<readonly Arrival[]> {
    const { sender, at, to, mark = to, markAt = mark } = options
    await at.open(markAt, MARK_PORT)
    await at.drain()
    await sender.send(options)
    const text = `mark ${this.#marks++}`
    await sender.send({ from: options.from, port: 0, to: mark, toPort: MARK_PORT, texts: [text] })
    await eventually(async () => (await at.received()).some((one) => one.text === text), 5_000, 'the mark')
    return (await at.drain()).filter((one) => one.text !== text)
  }

  async remove(): Promise<void> {
    for (const place of this.#places) await place.remove()
  }
}

/** One namespace, with a program inside that sends and receives datagrams. */
export class Place {
  readonly namespace: Namespace
  #peer: Peer | undefined

  constructor(namespace: Namespace) {
    this.namespace = namespace
  }

  get name(): string {
    return this.namespace.name
  }

  ip(...args: readonly string[]): Promise<string> {
    return this.namespace.run('ip', ...args)
  }

  run(program: string, ...args: readonly string[]): Promise<string> {
    return this.namespace.run(program, ...args)
  }

  async address(device: string, ...addresses: readonly string[]): Promise<void> {
    for (const text of addresses) {
      await this.ip('addr', 'add', text, 'dev', device, ...(text.includes(':') ? ['nodad'] : []))
    }
  }

  /** Adds a default route by the given router; IPv4 or IPv6 by how it is written. */
  async routeBy(...routers: readonly string[]): Promise<void> {
    for (const via of routers) {
      await this.ip(via.includes(':') ? '-6' : '-4', 'route', 'replace', 'default', 'via', via)
    }
  }

  async forward(): Promise<void> {
    await this.run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  }

  async open(address: string, port = 5060): Promise<void> {
    await this.#ask({ command: 'open', address, port })
  }

  async send({ from, port = 5060, to, toPort = 5060, texts }: Sending): Promise<void> {
    await this.#ask({ command: 'send', from, port, to, toPort, texts })
  }

  /** Accepts TCP connections. */
  async listen(address: string, port = 5060): Promise<void> {
    await this.#ask({ command: 'listen', address, port })
  }

  /** Opens so many TCP connections at once, and says how many came about within a second. They stand until `hangUp`. */
  async connect(options: {
    readonly from: string
    readonly to: string
    readonly toPort?: number
    readonly amount: number
  }): Promise<number> {
    const { from, to, toPort = 5060, amount } = options
    const answer = await this.#ask({ command: 'connect', from, to, toPort, amount })
    return (answer as { connected: number }).connected
  }

  async hangUp(): Promise<void> {
    await this.#ask({ command: 'hangUp' })
  }

  /** What arrived and was not drained yet. */
  async received(): Promise<readonly Arrival[]> {
    return (await this.#ask({ command: 'received' })) as readonly Arrival[]
  }

  async drain(): Promise<readonly Arrival[]> {
    return (await this.#ask({ command: 'drain' })) as readonly Arrival[]
  }

  async remove(): Promise<void> {
    await this.#peer?.end()
    await this.namespace.remove()
  }

  async #ask(command: Readonly<Record<string, unknown>>): Promise<unknown> {
    this.#peer ??= new Peer(this.namespace)
    return this.#peer.ask(command)
  }
}

const PEER = fileURLToPath(new URL('sip-peer.mjs', import.meta.url))

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
    if (answer.error !== undefined) throw new Error(`${JSON.stringify(command)}: ${answer.error}`)
    return answer
  }

  async end(): Promise<void> {
    this.#child.stdin.end()
    await this.#child
  }
}
