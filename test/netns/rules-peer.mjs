// A peer inside a network namespace: reads one JSON command a line, answers one JSON line each.
// Runs as a plain program, since a namespace is a property of a process.
import dgram from 'node:dgram'
import net from 'node:net'
import { createInterface } from 'node:readline'

/** What arrived and was not taken yet, on whichever socket. Bounded, since a test may flood. */
let received = []
const MOST = 50_000
const sockets = new Map()
const streams = new Map()
/** Who waits for a text: called with each that arrives. */
const waiting = new Set()

const commands = {
  listenUdp: async ({ address, port }) => {
    await socketOf(address, port)
    return {}
  },
  listenTcp: ({ address, port }) =>
    new Promise((resolve, reject) => {
      net
        .createServer((stream) => {
          const { remoteAddress: source, remotePort: from } = stream
          stream.on('error', () => {})
          let last
          stream.on('data', (bytes) => {
            const text = bytes.toString('latin1')
            // One writing may come in pieces.
            if (last !== undefined && received.includes(last)) {
              last.text += text
              for (const hear of waiting) hear(last)
              return
            }
            last = { source, port: from, toPort: port, text }
            note(last)
          })
        })
        .once('error', reject)
        .listen(port, address, () => resolve({}))
    }),
  send: async ({ from, port, to, toPort, texts }) => {
    const socket = await socketOf(from, port)
    for (const text of texts) {
      await new Promise((resolve, reject) =>
        socket.send(Buffer.from(text, 'latin1'), toPort, to, (error) => (error ? reject(error) : resolve())),
      )
    }
    return {}
  },
  /** Waits for a text, then takes all that arrived. */
  takeUntil: async ({ text, within }) => {
    if (!received.some((one) => one.text === text)) {
      await new Promise((resolve, reject) => {
        const hear = (one) => {
          if (one.text === text) end(resolve)
        }
        const end = (settle, value) => {
          clearTimeout(timer)
          waiting.delete(hear)
          settle(value)
        }
        const timer = setTimeout(() => end(reject, new Error('the mark did not arrive')), within)
        waiting.add(hear)
      })
    }
    // Each turn of the event loop reads from every socket that holds something.
    for (let quiet = 0, before = -1; quiet < 3; quiet = received.length === before ? quiet + 1 : 0) {
      before = received.length
      await new Promise((resolve) => setImmediate(resolve))
    }
    const taken = received
    received = []
    return taken
  },
  /** Silence is told before TCP sends its SYN again, a second later: one command is one SYN. */
  connect: ({ from, to, toPort, name }) =>
    new Promise((resolve) => {
      const stream = net.connect({ host: to, port: toPort, localAddress: from })
      const timer = setTimeout(() => {
        stream.destroy()
        resolve({ outcome: 'silence' })
      }, 500)
      stream.on('error', () => {})
      stream.on('connect', () => {
        clearTimeout(timer)
        streams.set(name, stream)
        resolve({ outcome: 'connected' })
      })
    }),
  write: ({ name, text }) => new Promise((resolve) => streams.get(name).write(text, () => resolve({}))),
  /** Closes a connection by FIN from both ends, and waits for it. */
  hangUp: ({ name }) =>
    new Promise((resolve) => {
      const stream = streams.get(name)
      streams.delete(name)
      stream.once('close', () => resolve({}))
      stream.resume()
      stream.end()
    }),
}

function note(one) {
  if (received.length < MOST) received.push(one)
  for (const hear of waiting) hear(one)
}

async function socketOf(address, port) {
  const key = `${address} ${port}`
  let socket = sockets.get(key)
  if (!socket) {
    socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', (bytes, { address: source, port: from }) =>
      note({ source, port: from, toPort: port, text: bytes.toString('latin1') }),
    )
    await new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address, port, exclusive: true }, resolve)
    })
    socket.on('error', () => {})
    sockets.set(key, socket)
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
