import { writeFileSync } from 'node:fs'
import type { Running } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

/** The same REGISTER again and again, by trafgen: bounded in packets and rate. It sends those of a second in one go. */
export async function startFlood(
  stage: Stage,
  from: StageHost,
  to: StageHost,
  options: { packets: number; perSecond: number; port?: number },
): Promise<Running> {
  const mac = async (host: StageHost) =>
    (await host.namespace.run('cat', '/sys/class/net/eth0/address')).trim()
  const register = [
    `REGISTER sip:${to.address} SIP/2.0`,
    `Via: SIP/2.0/UDP ${from.address}:5066;branch=z9hG4bKflood`,
    `From: <sip:1001@${to.address}>;tag=1`,
    `To: <sip:1001@${to.address}>`,
    'Call-ID: flood',
    'CSeq: 1 REGISTER',
    `Contact: <sip:1001@${from.address}:5066>`,
    'User-Agent: friendly-scanner',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n')
  const file = stage.path(`flood-${from.address}.cfg`)
  writeFileSync(
    file,
    `{ eth(da=${await mac(to)}, sa=${await mac(from)}), ipv4(saddr=${from.address}, daddr=${to.address}, ttl=64),
       udp(sport=5066, dport=${options.port ?? 5060}), ${bytesOf(register)} }\n`,
  )
  const rate = `${options.perSecond}pps`
  return stage.start(from, 'trafgen', [
    '-c',
    file,
    '-o',
    'eth0',
    '-n',
    String(options.packets),
    '-b',
    rate,
    '-P',
    '1',
  ])
}

/** REGISTERs of random sources in 10.0.0.0/9, each sent once: no answer finds its way back. */
export async function startForgedFlood(
  stage: Stage,
  from: StageHost,
  to: StageHost,
  { packets, perSecond }: { packets: number; perSecond: number },
): Promise<Running> {
  const mac = async (host: StageHost) =>
    (await host.namespace.run('cat', '/sys/class/net/eth0/address')).trim()
  const text = `REGISTER sip:${to.address} SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKf\r\nTo: <sip:1@r>\r\nFrom: <sip:1@r>;tag=1\r\nCall-ID: f\r\nCSeq: 1 REGISTER\r\n\r\n`
  const file = stage.path('forged.cfg')
  const least = 0x0a000000
  writeFileSync(
    file,
    `{ eth(da=${await mac(to)}, sa=${await mac(from)}), ipv4(saddr=drnd(${least}, ${least + 0x7fffff}), daddr=${to.address}, ttl=64),
       udp(sport=5066, dport=5060), ${bytesOf(text)} }\n`,
  )
  const many = ['-n', String(packets), '-b', `${perSecond}pps`, '-P', '1']
  return stage.start(from, 'trafgen', ['-c', file, '-o', 'eth0', ...many])
}

/** trafgen knows no escapes in its strings, so a payload is spelt in bytes. */
function bytesOf(text: string): string {
  return [...Buffer.from(text)].join(', ')
}

/**
 * Guesses a password with svcrack; the right one, `pwUSER`, is the last of `words`. It sends a hundred packets a
 * second of which the kernel's limit lets five through, or one each `pause` seconds.
 */
export function startGuessing(
  stage: Stage,
  from: StageHost,
  server: string,
  options: { user: number; words: number; port?: number; pause?: number },
): Running {
  const file = stage.path(`words-${from.address}-${options.user}.txt`)
  const wrong = Array.from({ length: options.words - 1 }, (_, i) => `wrong${i}`)
  writeFileSync(file, `${[...wrong, `pw${options.user}`].join('\n')}\n`)
  const args = [
    '-u',
    String(options.user),
    '-d',
    file,
    '-p',
    String(options.port ?? 5060),
    '--maximumtime=5',
    ...(options.pause === undefined ? [] : ['-t', String(options.pause)]),
    server,
  ]
  return stage.start(from, 'svcrack', args)
}
