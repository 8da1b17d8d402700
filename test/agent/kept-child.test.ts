import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { KeptChild } from '../../agent/kept-child.ts'
import { eventually } from '../stage/running.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function keep(script: string, options: { readonly pulseEvery?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-child-'))
  ends.push(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'child.mjs')
  writeFileSync(file, script)
  const said: unknown[] = []
  const ended: { readonly how: string; readonly at: number }[] = []
  const starts: number[] = []
  const silences: string[] = []
  const child = new KeptChild<{ readonly hello: true }, object>({
    what: 'the child',
    script: pathToFileURL(file),
    greeting: () => ({ hello: true }),
    onMessage: (message) => said.push(message),
    onStarting: () => starts.push(performance.now()),
    onEnded: (how) => ended.push({ how, at: performance.now() }),
    ...(options.pulseEvery ? { pulseEvery: options.pulseEvery, onSilent: (how) => silences.push(how) } : {}),
  })
  ends.push(() => child.stop())
  return { child, said, ended, starts, silences }
}

it('hears all that a child says when it is told to end, before the end is over', async () => {
  const { child, said } = keep(`
    const text = 'x'.repeat(10_000)
    process.on('message', () => process.send({ ready: true }))
    process.on('SIGTERM', () => {
      let left = 200
      for (let i = 0; i < 200; i++)
        process.send({ i, text }, undefined, {}, () => --left === 0 && process.exit(0))
    })`)
  child.start()
  await eventually(() => said.length === 1, 10_000, 'the child')
  await child.stop()
  expect(said).toHaveLength(201)
  expect(said.at(-1)).toMatchObject({ i: 199 })
})

it('starts one that died again at once, and one that dies again and again later each time', async () => {
  const { child, starts, ended } = keep(`process.on('message', () => process.exit(3))`)
  child.start()
  await eventually(() => starts.length === 3, 10_000, 'the third start')
  expect(ended.map(({ how }) => how).slice(0, 2)).toEqual([
    'the child ended (exit code 3); it starts again in 10 ms',
    'the child ended (exit code 3); it starts again in 250 ms',
  ])
  expect(starts[2]! - ended[1]!.at).toBeGreaterThanOrEqual(245)
})

const SPEAKS = `process.on('message', () => {
  process.send({ pid: process.pid })
  setInterval(() => process.send({}), 20)
})`

it('misses a child that is stopped, ends it and starts another', async () => {
  const { child, said, ended, starts, silences } = keep(SPEAKS, { pulseEvery: 100 })
  child.start()
  await eventually(() => said.length > 0, 10_000, 'the child')
  expect(child.silent).toBe(false)
  process.kill((said[0] as { pid: number }).pid, 'SIGSTOP')
  await eventually(() => silences.length > 0, 10_000, 'its silence')
  expect(silences).toEqual(['the child has said nothing for 3 s: it is stopped'])
  expect(child.silent).toBe(true)
  await eventually(() => starts.length === 2, 10_000, 'the next one')
  expect(ended[0]?.how).toBe(
    'the child ended (killed, since it said nothing for 10 s: it is stopped); it starts again in 10 ms',
  )
  const before = said.length
  await eventually(() => said.length > before, 10_000, 'what the next one says')
  expect(child.silent).toBe(false)
})

it('leaves a child alone that is stopped for a moment, and one that says nothing where it need not', async () => {
  const { child, said, ended, silences } = keep(SPEAKS, { pulseEvery: 100 })
  child.start()
  await eventually(() => said.length > 0, 10_000, 'the child')
  const { pid } = said[0] as { pid: number }
  process.kill(pid, 'SIGSTOP')
  await eventually(() => silences.length > 0, 10_000, 'its silence')
  process.kill(pid, 'SIGCONT')
  await eventually(() => !child.silent, 10_000, 'its words')
  const before = said.length
  await eventually(() => said.length > before + 80, 10_000, 'more of them')
  expect(ended).toEqual([])
})
