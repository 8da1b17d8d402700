import { Buffer } from 'node:buffer'
import { OrderRefused } from '../../dashboard/api/control-plane.ts'
import { quote } from '../../dashboard/api/errors.ts'
import type { TraceOrder, TraceView } from '../../dashboard/api/what-if.ts'
import { parseAddress, parseSource, type Source, showSource } from '../../registrar/net/address.ts'
import type { HostAddresses } from '../../rules/trace/host-addresses.ts'
import { imaginePacket } from '../../rules/trace/imagine-packet.ts'
import type { ImaginaryPacket } from '../../rules/trace/packet.ts'
import { type HeldByKernel, tracePacket } from '../../rules/trace/trace.ts'
import { localAddresses } from '../sensor/local-addresses.ts'
import type { DaemonParts } from './parts.ts'

const LARGEST_PAYLOAD = 65_507
/** RFC 3261 19.1.2: where SIP comes from and goes to, if nothing else is said. */
const SIP_PORT = 5060

/** What the rules that stand now would do with an imaginary packet. Refuses a packet that cannot be. */
export async function traceImagined(
  order: TraceOrder,
  parts: Pick<DaemonParts, 'clock' | 'desired' | 'heldByKernel'> & { readonly notice: string | null },
): Promise<TraceView> {
  const { clock, desired, heldByKernel, notice } = parts
  const state = desired()
  const source = readSource(order.source)
  try {
    const packet = imaginePacket(state.traffic, source, partsOf(order))
    const held = await heldByKernel(source)
    // Where a destination is named, whether this host has it decides.
    const host: HostAddresses | undefined =
      order.destination === undefined ? undefined : { own: localAddresses()() }
    const { verdict, says, lane, rule, steps } = tracePacket({
      state,
      packet,
      now: clock(),
      ...(held === null ? {} : { heldByKernel: held }),
      ...(host === undefined ? {} : { host }),
    })
    return {
      packet: sayPacket(packet, order),
      verdict,
      says,
      notice,
      lane,
      rule,
      steps,
      assumptions: assumed(order, held),
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new OrderRefused('bad-input', `There is no such packet: ${error.message}.`)
  }
}

function partsOf(order: TraceOrder): Partial<ImaginaryPacket> & { readonly method?: string } {
  const { protocol = 'udp', method, payload, destination, interface: name } = order
  const bytes = payload === undefined ? undefined : Buffer.from(payload, 'base64')
  if (bytes && bytes.length > LARGEST_PAYLOAD) {
    throw new OrderRefused('bad-input', `A UDP packet holds at most ${LARGEST_PAYLOAD} bytes.`)
  }
  return {
    protocol,
    ...(method === undefined ? {} : { method }),
    ...(bytes === undefined || protocol === 'tcp' ? {} : { payload: bytes }),
    ...(destination === undefined ? {} : readDestination(destination)),
    ...(name === undefined ? {} : { interface: name }),
  }
}

function readSource(text: string): Source {
  const source = parseSource(text.trim())
  if (source) return source
  const address = parseAddress(text.trim())
  if (address) return { address, port: SIP_PORT }
  throw new OrderRefused(
    'bad-input',
    `${quote(text)} is no address; write it like 203.0.113.7, 203.0.113.7:5060 or [2001:db8::7]:5060`,
  )
}

function readDestination(text: string): Partial<ImaginaryPacket> {
  const source = parseSource(text.trim())
  if (source) return { destination: source.address, destinationPort: source.port }
  const address = parseAddress(text.trim())
  if (address) return { destination: address }
  throw new OrderRefused(
    'bad-input',
    `${quote(text)} is no address; write it like 192.0.2.1, 192.0.2.1:5060 or [2001:db8::1]:5060`,
  )
}

/** Without the payload: those bytes are somebody else's. */
function sayPacket(packet: ImaginaryPacket, { method, payload }: TraceOrder): string {
  const { source, sourcePort, destination, destinationPort, protocol, interface: name } = packet
  const from = showSource({ address: source, port: sourcePort })
  const to = showSource({ address: destination, port: destinationPort })
  const bytes = `${packet.payload.length} ${packet.payload.length === 1 ? 'byte' : 'bytes'}`
  const what =
    protocol === 'tcp'
      ? 'a new TCP connection'
      : payload === undefined
        ? `UDP, ${method ?? 'REGISTER'}`
        : `UDP, ${bytes} of payload`
  return `${what}, from ${from} to ${to}, arriving on ${name}`
}

function assumed(
  { source, protocol = 'udp', destination }: TraceOrder,
  held: HeldByKernel | null,
): readonly string[] {
  return [
    'every bucket is full, as for a source that sent nothing lately',
    ...(parseSource(source.trim()) ? [] : [`it comes from port ${SIP_PORT}, since no port is said`]),
    ...(destination === undefined ? ['the destination is a protected one'] : []),
    ...(held === null && protocol === 'udp'
      ? ['the lists that the kernel fills by itself (asked, seen, over the SIP limit) do not hold the source']
      : []),
  ]
}
