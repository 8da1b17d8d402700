import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TailFile } from '../../../agent/logs/tail-file.ts'
import { eventually } from '../../stage/running.ts'

describe('a log that is followed', () => {
  let folder: string
  let path: string
  let lines: string[]
  let tail: TailFile | undefined
  let now: number

  const follow = async (options: { mostLinesASecond?: number } = {}) => {
    tail = new TailFile({ path, clock: () => now, onLine: (line) => lines.push(line), ...options })
    await tail.start()
    return tail
  }
  const heard = (...expected: string[]) =>
    eventually(() => lines.length >= expected.length, 5_000, `${expected.length} lines`).then(() =>
      expect(lines).toEqual(expected),
    )

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringfence-tail-'))
    path = join(folder, 'security')
    lines = []
    now = 1_000_000
  })
  afterEach(async () => {
    await tail?.stop()
    tail = undefined
    rmSync(folder, { recursive: true, force: true })
  })

  it('is read from where it ended at the start, as it grows', async () => {
    writeFileSync(path, 'old 1\nold 2\n')
    const { state } = await follow()
    expect(state).toEqual({ state: 'following', reason: '' })
    appendFileSync(path, 'one\ntwo\r\nthr')
    await heard('one', 'two')
    appendFileSync(path, 'ee\n')
    await heard('one', 'two', 'three')
    expect(tail?.counts).toEqual({ read: 3, letGo: 0 })
  })

  it('gives the line whole that was half written at the start', async () => {
    writeFileSync(path, 'old\nhal')
    await follow()
    appendFileSync(path, 'f\n')
    await heard('half')
  })

  it('is waited for where it is missing, and then read from its beginning', async () => {
    const { state } = await follow()
    expect(state).toEqual({ state: 'waiting', reason: 'there is no such file yet' })
    writeFileSync(path, 'one\ntwo\n')
    await heard('one', 'two')
    expect(tail?.state).toEqual({ state: 'following', reason: '' })
  })

  it('is waited for where its folder is missing', async () => {
    path = join(folder, 'later', 'security')
    await follow()
    expect(tail?.state.state).toBe('waiting')
    mkdirSync(join(folder, 'later'))
    writeFileSync(path, 'one\n')
    await heard('one')
  })

  it('goes on in the new file when it is renamed and made anew', async () => {
    writeFileSync(path, '')
    await follow()
    appendFileSync(path, 'one\n')
    renameSync(path, `${path}.1`)
    writeFileSync(path, 'two\n')
    appendFileSync(path, 'three\n')
    await heard('one', 'two', 'three')
    renameSync(`${path}.1`, `${path}.2`)
    renameSync(path, `${path}.1`)
    writeFileSync(path, 'four\n')
    await heard('one', 'two', 'three', 'four')
    expect(tail?.counts).toEqual({ read: 4, letGo: 0 })
  })

  it('is read on under its new name for as long as somebody writes there', async () => {
    writeFileSync(path, '')
    await follow()
    // A softswitch keeps the file open until it is told of the rotation.
    const writer = openSync(path, 'a')
    writeSync(writer, 'one\n')
    await heard('one')
    renameSync(path, `${path}.1`)
    writeSync(writer, 'two\n')
    await heard('one', 'two')
    writeFileSync(path, 'three\n')
    await heard('one', 'two', 'three')
    writeSync(writer, 'four\n')
    await heard('one', 'two', 'three', 'four')
    // After a quiet minute it is let go.
    now += 61_000
    await tail?.look()
    writeSync(writer, 'five\n')
    appendFileSync(path, 'six\n')
    await heard('one', 'two', 'three', 'four', 'six')
  })

  it('is read from its beginning when it is copied and emptied', async () => {
    writeFileSync(path, 'old line, a long one\n')
    await follow()
    appendFileSync(path, 'one\n')
    await heard('one')
    copyFileSync(path, `${path}.1`)
    truncateSync(path)
    appendFileSync(path, 'two\n')
    await heard('one', 'two')
  })

  it('is read from its beginning when it was emptied and grew beyond where it was', async () => {
    writeFileSync(path, '')
    await follow()
    appendFileSync(path, 'one\n')
    await heard('one')
    // Both at once, before anybody can look.
    writeFileSync(path, 'two, which is longer than what was there\nthree\n')
    await heard('one', 'two, which is longer than what was there', 'three')
  })

  it('loses and repeats nothing over a hundred rotations of either kind', async () => {
    writeFileSync(path, '')
    await follow()
    const expected: string[] = []
    for (let i = 0; i < 100; i++) {
      const name = `line ${i}`
      expected.push(name)
      appendFileSync(path, `${name}\n`)
      await tail?.look()
      if (i % 3 === 1) {
        copyFileSync(path, `${path}.c`)
        truncateSync(path)
      }
      if (i % 3 === 2) {
        renameSync(path, `${path}.${i}`)
        writeFileSync(path, '')
      }
    }
    await heard(...expected)
    expect(tail?.counts).toEqual({ read: 100, letGo: 0 })
  })

  it('is followed again after it was deleted', async () => {
    writeFileSync(path, 'old\n')
    await follow()
    unlinkSync(path)
    writeFileSync(path, 'one\n')
    await heard('one')
  })

  it('is said to be gone where it stays away, and is read on for whoever writes to it still', async () => {
    writeFileSync(path, '')
    const writer = openSync(path, 'a')
    const followed = await follow()
    unlinkSync(path)
    await followed.look()
    expect(followed.state.state).toBe('following')
    now += 30_000
    await followed.look()
    expect(followed.state).toEqual({
      state: 'waiting',
      reason: 'the file is gone; one of that name is waited for',
    })
    writeSync(writer, 'one\n')
    await followed.look()
    await heard('one')
    writeFileSync(path, 'two\n')
    await heard('one', 'two')
    await followed.look()
    expect(followed.state.state).toBe('following')
  })

  it('is followed through a link', async () => {
    mkdirSync(join(folder, 'elsewhere'))
    const target = join(folder, 'elsewhere', 'log')
    writeFileSync(target, 'old\n')
    symlinkSync(target, path)
    await follow()
    appendFileSync(target, 'one\n')
    await heard('one')
  })

  it('passes over a line of more than 64 kB, and counts it', async () => {
    writeFileSync(path, '')
    await follow()
    appendFileSync(path, `${'x'.repeat(65_537)}\none\n${'y'.repeat(1_000_000)}`)
    appendFileSync(path, `${'z'.repeat(65_536)}\ntwo\n${'w'.repeat(65_536)}\n`)
    await heard('one', 'two', 'w'.repeat(65_536))
    expect(tail?.counts).toEqual({ read: 5, letGo: 2 })
  })

  it('lets go of more lines than so many a second, and counts them', async () => {
    writeFileSync(path, '')
    await follow({ mostLinesASecond: 10 })
    appendFileSync(path, Array.from({ length: 1_000 }, (_, i) => `${i}\n`).join(''))
    await eventually(() => tail?.counts.read === 1_000, 5_000, 'all lines')
    expect(lines).toHaveLength(10)
    expect(tail?.counts.letGo).toBe(990)
    now += 1_000
    appendFileSync(path, 'later\n')
    await eventually(() => lines.length === 11, 5_000, 'the next second')
    expect(lines.at(-1)).toBe('later')
  })

  it('fails with a reason where it is no file', async () => {
    mkdirSync(path)
    await follow()
    expect(tail?.state).toEqual({ state: 'failed', reason: 'is not a regular file' })
  })

  it('takes bytes of every kind', async () => {
    writeFileSync(path, '')
    await follow()
    appendFileSync(path, Buffer.from([0, 0xff, 0xfe, 0x0a, 0xc3, 0x0a, 0x0d, 0x0d, 0x0a]))
    await heard('\0��', '�', '\r')
  })
})
