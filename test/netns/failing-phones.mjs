// Phones that register, or ask by the `method` that they name, with a right or a wrong password: a list of them as JSON in the first argument, all at once. Says
// one line of JSON: for each phone the statuses it heard, 0 for silence. Over TCP all tries go over one connection.
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'

const [, , plan] = process.argv
const { server, phones } = JSON.parse(plan)
const md5 = (text) => createHash('md5').update(text).digest('hex')
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @returns a way to ask and be answered: `undefined` after `patience` ms without a final answer. */
async function lineOf({ address, port, transport, patience = 700 }) {
  let heard = () => {}
  const answered = (text) => {
    if (/^SIP\/2.0 [2-6]/.test(text)) heard(text)
  }
  const waitFor = (send) =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), patience)
      heard = (text) => {
        clearTimeout(timer)
        resolve(text)
      }
      send()
    })
  if (transport === 'tcp') {
    const socket = connect({ host: server, port: 5060, localAddress: address, localPort: port ?? 0 })
    const isConnected = await new Promise((resolve) => {
      setTimeout(() => resolve(false), 2_000)
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    let buffer = ''
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      buffer += bytes.toString('latin1')
      for (let end = buffer.indexOf('\r\n\r\n'); end >= 0; end = buffer.indexOf('\r\n\r\n')) {
        answered(buffer.slice(0, end))
        buffer = buffer.slice(end + 4)
      }
    })
    const localPort = socket.localPort ?? 0
    return {
      localPort,
      isConnected,
      ask: (text) => waitFor(() => socket.write(text)),
      end: () => socket.destroy(),
    }
  }
  const socket = createSocket('udp4')
  await new Promise((resolve) => socket.bind(port, address, resolve))
  socket.on('message', (bytes) => answered(bytes.toString('latin1')))
  const ask = (text) => waitFor(() => socket.send(text, 5060, server))
  return { localPort: port, isConnected: true, ask, end: () => socket.close() }
}

async function run(phone) {
  const {
    address,
    user,
    password,
    tries,
    every = 0,
    transport = 'udp',
    method = 'REGISTER',
    after = 0,
    lasts = 3_600_000,
  } = phone
  await pause(after)
  const line = await lineOf(phone)
  const statuses = []
  const id = `${user}-${Math.random().toString(36).slice(2)}`
  let cseq = 0
  const request = (more) =>
    `${method} sip:${server} SIP/2.0\r\nVia: SIP/2.0/${transport.toUpperCase()} ${address}:${line.localPort};branch=z9hG4bK${id}${++cseq}\r\n` +
    `From: <sip:${user}@${server}>;tag=1\r\nTo: <sip:${user}@${server}>\r\nCall-ID: ${id}\r\nCSeq: ${cseq} ${method}\r\n` +
    `Contact: <sip:${user}@${address}:${line.localPort}>\r\nExpires: 300\r\n${more}Content-Length: 0\r\n\r\n`
  const statusOf = (answer) => Number(/^SIP\/2.0 (\d+)/.exec(answer ?? '')?.[1] ?? 0)
  const end = Date.now() + lasts
  for (let i = 0; i < tries && line.isConnected && Date.now() < end; i++) {
    if (i > 0) await pause(every)
    const first = await line.ask(request(''))
    const nonce = /nonce="([^"]+)"/.exec(first ?? '')?.[1]
    if (nonce === undefined) {
      statuses.push(statusOf(first))
      continue
    }
    const realm = /realm="([^"]+)"/.exec(first)?.[1]
    const secret = md5(`${user}:${realm}:${password}`)
    const response = md5(`${secret}:${nonce}:00000001:c:auth:${md5(`${method}:sip:${server}`)}`)
    const credentials = `${statusOf(first) === 407 ? 'Proxy-' : ''}Authorization: Digest username="${user}",realm="${realm}",nonce="${nonce}",uri="sip:${server}",response="${response}",cnonce="c",nc=00000001,qop=auth,algorithm=MD5\r\n`
    const status = statusOf(await line.ask(request(credentials)))
    statuses.push(status)
    if (status === 200 && !phone.goesOn) break
  }
  line.end()
  return { user, port: line.localPort, isConnected: line.isConnected, statuses }
}

console.log(JSON.stringify(await Promise.all(phones.map(run))))
process.exit(0)
