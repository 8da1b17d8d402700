// A peer inside a network namespace: reads one JSON command a line, answers one JSON line each.
// Runs as a plain program, since a namespace is a property of a process.
import dgram from 'node:dgram'
import net from 'node:net'
import { createInterface } from 'node:readline'

const received = []
const sockets = new Map()
const streams = new Map()

const commands = {
  listenUdp: ({ address, port }) =>
    new Promise((resolve, reject) => {
      const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
      socket.on('message', (bytes, { address: source, port: sourcePort }) =>
        received.push({ source, port: sourcePort, text: bytes.toString('latin1') }),
      )
      socket.once('error', reject)
      socket.bind(port, address, () => resolve({}))
    }),
  listenTcp: ({ address, port }) =>
    new Promise((resolve) => {
      net
        .createServer((stream) =>
          stream.on('data', (bytes) =>
            received.push({
              source: stream.remoteAddress,
              port: stream.remotePort,
              text: bytes.toString('latin1'),
            }),
          ),
        )
        .listen(port, address, () => resolve({}))
    }),
  received: () => received,
  // Each turn of the event loop reads from every socket that holds something.
  drained: async () => {
    for (let quiet = 0, before = -1; quiet < 3; quiet = received.length === before ? quiet + 1 : 0) {
      before = received.length
      await new Promise((resolve) => setImmediate(resolve))
    }
    return received
  },
  send: async ({ from, port, to, toPort, texts }) => {
    const socket = await bound(from, port)
    for (const text of texts) {
      await new Promise((resolve) => socket.send(Buffer.from(text, 'latin1'), toPort, to, resolve))
    }
    return {}
  },
  connect: ({ from, to, toPort, name }) =>
    new Promise((resolve) => {
      const stream = net.connect({ host: to, port: toPort, localAddress: from })
      const timer = setTimeout(() => {
        stream.destroy()
        resolve({ outcome: 'silence' })
      }, 1500)
      stream.on('error', () => {})
      stream.on('connect', () => {
        clearTimeout(timer)
        streams.set(name, stream)
        resolve({ outcome: 'connected' })
      })
    }),
  write: ({ name, text }) => new Promise((resolve) => streams.get(name).write(text, () => resolve({}))),
}

async function bound(address, port) {
  const key = `${address} ${port}`
  let socket = sockets.get(key)
  if (!socket) {
    socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
    sockets.set(key, socket)
    await new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, address, resolve)
    })
  }
  return socket
}

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line)
  const answer = await commands[command](rest)
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
process.exit(0)
