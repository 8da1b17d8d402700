import type { Running } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

/** TLS without certificates: both ends know a key. Nothing but the two of them can read it, which is the point. */
const TLS = `
const tls = require('node:tls')
const fs = require('node:fs')
const secure = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }
const psk = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
`

/**
 * Takes lines of JSON over TLS for REGISTERs (user, password, session) and writes what Asterisk's res_pjsip and
 * res_security_log write of them: the fields, their order, and no quote escaped.
 */
const SERVER = `${TLS}
const [host, port, log] = process.argv.slice(1)
const field = (name, value) => ',' + name + '="' + value + '"'
const write = (event, { user, session, socket }, more) =>
  fs.appendFileSync(log, '[' + new Date().toISOString() + '] SECURITY[77] res_security_log.c: SecurityEvent="' + event + '"' +
    field('EventTV', new Date().toISOString().replace('Z', '+0000')) + field('Severity', 'Error') +
    field('Service', 'PJSIP') + field('EventVersion', '1') + field('AccountID', user) + field('SessionID', session) +
    field('LocalAddress', 'IPV4/TLS/' + host + '/' + port) +
    field('RemoteAddress', 'IPV4/TLS/' + socket.remoteAddress + '/' + socket.remotePort) + more + '\\n')
const server = tls.createServer({ ...secure, pskCallback: () => psk }, (socket) => {
  let held = ''
  socket.on('error', () => {})
  socket.on('data', (data) => {
    held += data
    for (let end = held.indexOf('\\n'); end >= 0; end = held.indexOf('\\n')) {
      const asked = { session: 'a84b4c76e66710', ...JSON.parse(held.slice(0, end)), socket }
      held = held.slice(end + 1)
      write('ChallengeSent', asked, field('Challenge', '1/2'))
      if (asked.password === 'pw' + asked.user) write('SuccessfulAuth', asked, field('UsingPassword', '1'))
      else write('ChallengeResponseFailed', asked, field('Challenge', '1/2') + field('Response', 'ab') + field('ExpectedResponse', ''))
      socket.write(asked.password === 'pw' + asked.user ? '200\\n' : '401\\n')
    }
  })
})
server.listen(Number(port), host, () => console.log('listening'))`

/** Connects anew for every REGISTER; says how each ended, or that the connection was refused. */
const CLIENT = `${TLS}
const [host, port, text, pause] = process.argv.slice(1)
const asks = JSON.parse(text)
const next = () => {
  const ask = asks.shift()
  if (!ask) return console.log('done')
  const again = (said) => {
    console.log(said)
    if (said === 'no answer') asks.length = 0
    setTimeout(next, Number(pause))
  }
  const socket = tls.connect({ ...secure, host, port: Number(port), checkServerIdentity: () => undefined,
    pskCallback: () => ({ psk, identity: 'x' }) }, () => socket.write(JSON.stringify(ask) + '\\n'))
  const giveUp = setTimeout(() => { socket.destroy(); again('no answer') }, 3000)
  const end = (said) => { clearTimeout(giveUp); socket.destroy(); again(said) }
  socket.once('data', (data) => end(String(data).trim()))
  socket.once('error', () => end('refused'))
}
next()`

export interface TlsRegister {
  readonly user: string
  readonly password: string
  /** What stands in the Call-ID. */
  readonly session?: string
}

/** A softswitch that speaks TLS and keeps a log as Asterisk does. */
export async function startTlsSoftswitch(
  stage: Stage,
  host: StageHost,
  { port, log }: { readonly port: number; readonly log: string },
): Promise<Running> {
  const running = stage.start(host, process.execPath, ['-e', SERVER, host.address, String(port), log])
  await running.says(/listening/)
  return running
}

/**
 * Sends these, one after the other; resolves to what was answered: `200`, `401`, `refused`, or `no answer`, after which
 * no more are sent.
 */
export async function registerOverTls(
  stage: Stage,
  from: StageHost,
  to: { readonly host: StageHost; readonly port: number },
  registers: readonly TlsRegister[],
): Promise<readonly string[]> {
  const args = ['-e', CLIENT, to.host.address, String(to.port), JSON.stringify(registers), '60']
  const running = stage.start(from, process.execPath, args)
  await running.says(/done/, 60_000)
  return running.output.trim().split('\n').slice(0, -1)
}
