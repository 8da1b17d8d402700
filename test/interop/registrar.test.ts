import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { udpPhone, until } from '../registrar/clients.ts'
import { compileRegistrar, RegistrarChild, SETTINGS, temporaryFolder } from './registrar-child.ts'

const folder = temporaryFolder()
let entry: string
const ends: (() => unknown)[] = []
beforeAll(async () => {
  entry = await compileRegistrar(folder)
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function child(): RegistrarChild {
  const registrar = new RegistrarChild(entry)
  ends.push(() => registrar.end())
  return registrar
}

/** A free port of this moment. */
async function freePort(): Promise<number> {
  const phone = await udpPhone({ host: '127.0.0.1', port: 9 })
  phone.close()
  return phone.port
}

async function baresip(account: string, port: number) {
  const home = join(folder, `baresip-${port}`)
  mkdirSync(home)
  const config = [
    'poll_method epoll',
    `sip_listen 127.0.0.1:${port}`,
    'module_path /usr/lib/baresip/modules',
    'module_app account.so',
    'module_app menu.so',
  ]
  writeFileSync(join(home, 'config'), `${config.join('\n')}\n`)
  writeFileSync(join(home, 'accounts'), `${account}\n`)
  writeFileSync(join(home, 'contacts'), '')
  const phone = execa('baresip', ['-f', home], {
    all: true,
    reject: false,
    timeout: 60_000,
    env: { LC_ALL: 'C' },
    stdin: 'ignore',
  })
  let said = ''
  phone.all.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  const quit = async () => {
    phone.kill('SIGTERM')
    await phone
  }
  ends.push(quit)
  return { said: () => said, quit }
}

function sippScenario({
  user,
  password,
  last,
  via = '',
}: {
  user: string
  password: string
  last: number
  via?: string
}) {
  const register = (cseq: number, more: string) => `<send retrans="500"><![CDATA[
REGISTER sip:[remote_ip] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]${via}
From: <sip:${user}@[remote_ip]>;tag=[call_number]
To: <sip:${user}@[remote_ip]>
Call-ID: [call_id]
CSeq: ${cseq} REGISTER
Contact: <sip:${user}@[local_ip]:[local_port]>
Expires: 120
Max-Forwards: 70
${more}Content-Length: 0

]]></send>`
  return `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="register">
${register(1, '')}
<recv response="401" auth="true"/>
${register(2, `[authentication username=${user} password=${password}]\n`)}
<recv response="${last}"/>
</scenario>`
}

async function sipp(
  server: number,
  scenario: Parameters<typeof sippScenario>[0],
  { calls = 1, transport = 'u1' } = {},
) {
  const port = await freePort()
  const file = join(folder, `sipp-${port}.xml`)
  writeFileSync(file, sippScenario(scenario))
  const args = [
    '-sf',
    file,
    '-i',
    '127.0.0.1',
    '-p',
    String(port),
    '-m',
    String(calls),
    '-r',
    '20',
    '-t',
    transport,
  ]
  const run = await execa('sipp', [...args, '-nostdin', '-timeout', '15', `127.0.0.1:${server}`], {
    reject: false,
    timeout: 30_000,
    cwd: folder,
    env: { LC_ALL: 'C', TERM: 'dumb' },
  })
  return { exitCode: run.exitCode, port }
}

describe('baresip', () => {
  it.each(['udp', 'tcp'])('registers, registers again and unregisters over %s', async (transport) => {
    const registrar = child()
    const server = await registrar.start()
    const port = await freePort()
    const account = `<sip:1001@127.0.0.1:${server};transport=${transport}>;auth_pass=secret;regint=10`
    const phone = await baresip(account, port)
    await until(() => phone.said().includes('200 OK'), 'baresip to register')
    const [first] = await registrar.bindings()
    expect(first).toMatchObject({ user: '1001', transport, userAgent: expect.stringContaining('baresip') })
    await until(
      async () => ((await registrar.bindings())[0]?.expiresAt ?? 0) > first!.expiresAt,
      'baresip to register again',
      15_000,
    )
    await phone.quit()
    await until(async () => (await registrar.bindings()).length === 0, 'baresip to unregister')
  })

  it('with a wrong password is refused and stops asking for a while', async () => {
    const registrar = child()
    const server = await registrar.start()
    const phone = await baresip(`<sip:1001@127.0.0.1:${server}>;auth_pass=wrong;regint=60`, await freePort())
    await until(() => phone.said().includes('403 Forbidden'), 'baresip to be refused')
    await until(
      () => registrar.all('counts').some(({ counts }) => counts.failures === 1),
      'the failure to be counted',
    )
    expect(registrar.all('suspended')).toEqual([])
  })
})

describe('sipsak', () => {
  it.each([
    ['secret', 'All usrloc tests completed successful', 1],
    ['wrong', 'SIP/2.0 403 Forbidden', 0],
  ])('with the password %s hears %s', async (password, answer, bindings) => {
    const registrar = child()
    const server = await registrar.start()
    const args = [
      '-U',
      '-i',
      '-s',
      `sip:1001@127.0.0.1:${server}`,
      '-u',
      '1001',
      '-a',
      password,
      '-x',
      '120',
      '-vv',
    ]
    const { all } = await execa('sipsak', args, {
      all: true,
      reject: false,
      timeout: 20_000,
      env: { LC_ALL: 'C' },
    })
    expect(all).toContain(answer)
    expect(await registrar.bindings()).toHaveLength(bindings)
  })
})

describe('sipp', () => {
  it.each(['u1', 't1'])('registers a hundred times (%s)', async (transport) => {
    const registrar = child()
    const server = await registrar.start()
    const scenario = { user: '1001', password: 'secret', last: 200 }
    expect((await sipp(server, scenario, { calls: 100, transport })).exitCode).toBe(0)
    expect(await registrar.bindings()).toHaveLength(1)
  })

  it('with a wrong password is suspended after six failures; the right one goes on at another port', async () => {
    const registrar = child()
    const server = await registrar.start()
    const good = await udpPhone({ host: '127.0.0.1', port: server })
    ends.push(() => good.close())
    expect((await good.register({ callId: 'good' })).status).toBe(200)
    const wrong = { user: '1001', password: 'wrong', last: 403 }
    expect((await sipp(server, wrong, { calls: 6 })).exitCode).toBe(0)
    await until(() => registrar.all('suspended').length === 1, 'the suspension')
    // From now on the first REGISTER is refused at once, so the scenario with its 401 fails.
    expect((await sipp(server, wrong)).exitCode).not.toBe(0)
    expect((await sipp(server, { user: '1002', password: 'geheim', last: 200 })).exitCode).toBe(0)
    expect((await good.register({ callId: 'good', cseq: 3 })).status).toBe(200)
  })
})

describe('svcrack', () => {
  it.each([
    ['finds a password that stands eighth in its list where nobody is suspended', false],
    ['does not find it where the sixth failure suspends', true],
  ])('%s', async (_, registerSuspend) => {
    const registrar = child()
    const server = await registrar.start({ policy: { ...SETTINGS.policy, registerSuspend } })
    const list = join(folder, 'passwords')
    writeFileSync(list, `${['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'secret', 'b1', 'b2'].join('\n')}\n`)
    const args = ['-u', '1001', '-d', list, '-p', String(server), '-t', '0.02', '127.0.0.1']
    const guesser = execa('svcrack', args, {
      all: true,
      reject: false,
      timeout: 20_000,
      cwd: folder,
      env: { LC_ALL: 'C', HOME: folder },
    })
    ends.push(() => guesser.kill('SIGKILL'))
    const refused = () => registrar.all('counts').reduce((sum, { counts }) => sum + counts.suspended, 0)
    if (registerSuspend) await until(() => refused() > 10, 'the guesser to be refused', 20_000)
    else await guesser
    guesser.kill('SIGKILL')
    const said = (await guesser).all
    expect(said.includes('secret')).toBe(!registerSuspend)
    expect(registrar.all('suspended')).toHaveLength(registerSuspend ? 1 : 0)
  })
})

describe('the process', () => {
  it('loses no account and no binding older than a second when it is killed', async () => {
    const directory = join(folder, 'data')
    const first = child()
    const server = await first.start({ directory })
    await first.ask({ kind: 'add-account', aor: '1003', password: 'p' })
    for (const [user, password] of [
      ['1001', 'secret'],
      ['1003', 'p'],
    ] as const) {
      expect((await sipp(server, { user, password, last: 200 })).exitCode).toBe(0)
    }
    await until(() => first.all('bindings').at(-1)?.total === 2, 'the bindings to be written')
    const before = await first.bindings()
    await first.end('SIGKILL')
    const second = child()
    await second.start({ directory })
    expect(second.all('ready')).toMatchObject([{ accounts: 3, bindings: 2 }])
    expect(await second.bindings()).toEqual(before)
  })

  it('ends when its parent goes away, on SIGTERM, and when it cannot start', async () => {
    const [orphan, terminated, late] = [child(), child(), child()]
    const port = await orphan.start()
    await terminated.start()
    const listen = [{ ...orphan.all('ready')[0]!.listening[0]!, port }]
    await expect(late.start({ listen })).rejects.toThrow(/another program holds that port/)
    orphan.process.disconnect()
    terminated.process.kill('SIGTERM')
    expect([await orphan.ended(), await terminated.ended(), await late.ended()]).toEqual([0, 0, 1])
  })
})
