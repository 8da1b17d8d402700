import { createSocket, type Socket } from 'node:dgram'
import { createServer, type Server, type Socket as Stream } from 'node:net'
import { type Address, familyOf } from './net/address.ts'

/** An address and port served over UDP and TCP. Port 0 takes a free one, the same for both. */
export interface Endpoint {
  readonly host: Address
  readonly port: number
}

export type ListenFailure = 'port-in-use' | 'address-not-here' | 'not-permitted' | 'other'

/** A configured address and port could not be taken. The message says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: ListenFailure
  readonly endpoint: Endpoint
  readonly transport: 'udp' | 'tcp'

  constructor(endpoint: Endpoint, transport: 'udp' | 'tcp', cause: NodeJS.ErrnoException) {
    const code = CODES[cause.code ?? ''] ?? 'other'
    const where = `${transport.toUpperCase()} ${showEndpoint(endpoint)}`
    super(`the registrar cannot listen on ${where}: ${adviceOn(code, cause)}`, { cause })
    this.code = code
    this.endpoint = endpoint
    this.transport = transport
  }
}

export async function listenUdp(endpoint: Endpoint): Promise<Socket> {
  const v6 = familyOf(endpoint.host) === 6
  const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: v6, recvBufferSize: RECEIVE_BUFFER })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => reject(new ListenError(endpoint, 'udp', error)))
    socket.bind({ address: endpoint.host, port: endpoint.port, exclusive: true }, resolve)
  })
  socket.removeAllListeners('error')
  return socket
}

export async function listenTcp(endpoint: Endpoint, onConnection: (stream: Stream) => void): Promise<Server> {
  const server = createServer({ noDelay: true }, onConnection)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new ListenError(endpoint, 'tcp', error)))
    const ipv6Only = familyOf(endpoint.host) === 6
    server.listen(
      { host: endpoint.host, port: endpoint.port, ipv6Only, exclusive: true, backlog: 511 },
      resolve,
    )
  })
  server.removeAllListeners('error')
  return server
}

export function showEndpoint({ host, port }: Endpoint): string {
  return familyOf(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

/** Holds some ten thousand REGISTERs while the process is busy; the kernel cuts it to `net.core.rmem_max`. */
const RECEIVE_BUFFER = 8 * 1024 * 1024

const CODES: Readonly<Record<string, ListenFailure>> = {
  EADDRINUSE: 'port-in-use',
  EADDRNOTAVAIL: 'address-not-here',
  EACCES: 'not-permitted',
  EPERM: 'not-permitted',
}

function adviceOn(code: ListenFailure, cause: Error): string {
  switch (code) {
    case 'port-in-use':
      return 'another program holds that port (a softswitch?); stop it or choose another port in registrar.listen'
    case 'address-not-here':
      return 'this host has no such address; choose one of its own in registrar.listen'
    case 'not-permitted':
      return 'this user may not; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE'
    case 'other':
      return cause.message
  }
}
