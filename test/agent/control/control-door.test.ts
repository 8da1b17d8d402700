import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { askDaemon } from '../../../agent/cli/client.ts'
import { ControlDoor } from '../../../agent/control/control-door.ts'
import { buildApi } from '../../../dashboard/api/app.ts'
import { imagineControlPlane } from '../../dashboard/imagined-control-plane.ts'
import { eventually } from '../../stage/running.ts'

let folder: string
let path: string
let door: ControlDoor | undefined
const said: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-door-'))
  path = join(folder, 'run', 'control.sock')
  said.length = 0
})
afterEach(async () => {
  await door?.close()
  door = undefined
  rmSync(folder, { recursive: true, force: true })
})

const plane = imagineControlPlane()
const options = () => ({
  build: () => buildApi({ plane, door: { kind: 'socket' }, version: '0.1.0' }),
  path,
  group: 'no-such-group',
  log: {
    info: (_fields: unknown, sentence: string) => said.push(sentence),
    warn: (_fields: unknown, sentence: string) => said.push(sentence),
  },
  checkEvery: 20,
})
const isAnswered = () =>
  askDaemon({ socket: path, caller: 'alice@cli' }, { method: 'GET', path: 'allowed' }).then(
    () => true,
    () => false,
  )

it('is there again when somebody deletes the socket, or its whole folder', async () => {
  door = await ControlDoor.open(options())
  for (const what of [path, join(folder, 'run')]) {
    rmSync(what, { recursive: true })
    await eventually(isAnswered, 5_000, 'the socket')
    expect(statSync(path).mode & 0o777).toBe(0o600)
  }
  expect(said).toEqual(Array(2).fill('the control socket was deleted; it is there again'))
})

it('leaves alone what took its place, says so once, and comes back when that is gone', async () => {
  door = await ControlDoor.open(options())
  rmSync(path)
  writeFileSync(path, 'somebody else’s')
  const sentence = `something else lies at ${path} now: commands cannot reach this daemon; remove it`
  await eventually(() => said.includes(sentence), 5_000, 'the sentence')
  rmSync(path)
  await eventually(isAnswered, 5_000, 'the socket')
  expect(said.filter((one) => one === sentence)).toHaveLength(1)
})

it('goes with the daemon, and is refused to a second one', async () => {
  door = await ControlDoor.open(options())
  await expect(ControlDoor.open(options())).rejects.toMatchObject({ code: 'daemon-running' })
  await door.close()
  door = undefined
  expect(() => statSync(path)).toThrow('ENOENT')
})
