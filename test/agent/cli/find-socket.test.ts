import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findSocket } from '../../../agent/cli/find-socket.ts'
import { realDeps } from '../../../agent/cli/real-deps.ts'
import { defaultConfig } from '../../../agent/config/read-config.ts'
import { renderConfigTemplate } from '../../../agent/config/template.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-socket-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const template = renderConfigTemplate({ interfaces: ['eth0'], udpPorts: [5060], tcpPorts: [5060] })

test.each([
  { text: template, socket: '/run/ringfence/control.sock' },
  { text: template.replace('/run/ringfence/', '/srv/'), socket: '/srv/control.sock' },
  { text: 'control:\n  group: sip\n\n  # socket: /old\n  socket: /a/b.sock # ours\n', socket: '/a/b.sock' },
  { text: 'control:\r\n  socket: /a/b.sock\r\n', socket: '/a/b.sock' },
  { text: "control:\n  socket: '/a b.sock'\n", socket: '/a b.sock' },
  { text: 'control: { socket: /a/b.sock }\n', socket: '/a/b.sock' },
  { text: 'control:\n  "socket": /a/b.sock\n', socket: '/a/b.sock' },
  { text: 'control:\n  socket:\n    /a/b.sock\n', socket: '/a/b.sock' },
  { text: 'x: &s /a/b.sock\ncontrol:\n  socket: *s\n', socket: '/a/b.sock' },
  { text: 'control:\n  socket: *nobody\n', socket: '/default.sock' },
  { text: '# control:\n#   socket: /old\n', socket: '/default.sock' },
  { text: 'control:\ndata: /x\nother:\n  socket: /wrong\n', socket: '/default.sock' },
  { text: 'mode: observe\n', socket: '/default.sock' },
  { text: '', socket: '/default.sock' },
])('$text', async ({ text, socket }) => {
  const configFile = join(folder, 'ringfence.yaml')
  writeFileSync(configFile, text)
  const defaults = { configFile: '/nonexistent.yaml', socket: '/default.sock' }
  expect(await findSocket({ socket: undefined, configFile, defaults })).toBe(socket)
})

test('what the command line takes for granted is what the configuration says', () => {
  expect(realDeps().defaults).toEqual({
    configFile: '/etc/ringfence/ringfence.yaml',
    socket: defaultConfig().control.socket,
  })
})
