// A peer inside a network namespace: reads one JSON command a line, answers one JSON line each.
// Runs as a plain program, since a namespace is a property of a process.
import dgram from 'node:dgram'
import net from 'node:net'
import { createInterface } from 'node:readline'

/** What arrived, on whichever socket. Bounded, since a test may flood. */
const received = []
const MOST = 50_000
const sockets = new Map()
const streams = new Set()
/** Less than the second after which a lost SYN is sent again. */
const CONNECT_WITHIN = 800

const commands = {
  open: async ({ address, port }) => {
    await socketOf(address, port)
    return {}
  },
  send: async ({ from, port, to, toPort, texts }) => {
    const socket = await socketOf(from, port)
    for (const text of texts) {
      await new Promise((resolve) => socket.send(Buffer.from(text, 'latin1'), toPort, to, resolve))
    }
    return {}
  },
  listen: ({ address, port }) =>
    new Promise((resolve, reject) => {
      const server = net.createServer((stream) => stream.on('error', () => {}).resume())
      server.once('error', reject).listen(port, address, () => resolve({}))
    }),
  connect: async ({ from, to, toPort, amount }) => {
    const tries = Array.from({ length: amount }, () => connected(from, to, toPort))
    return { connected: (await Promise.all(tries)).filter(Boolean).length }
  },
  hangUp: () => {
    for (const stream of streams) stream.destroy()
    streams.clear()
    return {}
  },
  received: () => received,
  // Each turn of the event loop reads from every socket that holds something.
  drain: async () => {
    for (let quiet = 0, before = -1; quiet < 3; quiet = received.length === before ? quiet + 1 : 0) {
      before = received.length
      await new Promise((resolve) => setImmediate(resolve))
    }
    return received.splice(0)
  },
}

function connected(from, to, toPort) {
  return new Promise((resolve) => {
    const stream = net.connect({ host: to, port: toPort, localAddress: from })
    const timer = setTimeout(() => {
      stream.destroy()
      resolve(false)
    }, CONNECT_WITHIN)
    stream.on('error', () => {})
    stream.on('connect', () => {
      clearTimeout(timer)
      streams.add(stream)
      resolve(true)
    })
  })
}

async function socketOf(address, port) {
  const key = `${address} ${port}`
  let socket = sockets.get(key)
  if (!socket) {
    socket = dgram.createSocket(address.includes(':') ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' })
    socket.on('message', (bytes, { address: from, port: fromPort }) => {
      if (received.length < MOST) {
        received.push({ to: address, toPort: port, from, fromPort, text: bytes.toString('latin1') })
      }
    })
    sockets.set(key, socket)
    await new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address, port, exclusive: true }, resolve)
    })
    socket.setBroadcast(true)
  }
  return socket
}

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line)
  let answer
  try {
    answer = await commands[command](rest)
  } catch (error) {
    answer = { error: error.message }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
process.exit(0)
