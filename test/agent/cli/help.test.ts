import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram } from '../../../agent/cli/program.ts'
import { callerName, realDeps } from '../../../agent/cli/real-deps.ts'
import { newPlace, type Place, run } from './command-line.ts'

let place: Place

beforeAll(() => {
  place = newPlace()
})

afterAll(() => place.remove())

/** Every command as its words, nested ones too. */
function everyCommand(): string[][] {
  const words: string[][] = []
  const visit = (command: ReturnType<typeof buildProgram>, path: string[]) => {
    words.push(path)
    for (const child of command.commands) visit(child, [...path, child.name()])
  }
  visit(buildProgram(realDeps()), [])
  return words
}

test('the commands', () => {
  expect(everyCommand().map((words) => words.join(' '))).toEqual([
    '',
    'status',
    'blocked',
    'block',
    'unblock',
    'allowed',
    'allow',
    'disallow',
    'explain',
    'trace',
    'enforce',
    'strict',
    'off',
    'on',
    'replay',
    'backtest',
    'config',
    'config check',
    'config init',
    'plan',
    'apply',
    'confirm',
    'revert',
    'account',
    'account add',
    'account list',
    'account remove',
    'bindings',
    'simulate',
    'demo',
    'run',
    'restore',
  ])
})

const commands = everyCommand().map((words) => ({ words, line: ['ringfence', ...words, '--help'].join(' ') }))

test.each(commands)('`$line` has an example of itself, --json and the exit codes', async ({ words }) => {
  const { code, out, err } = await run(place, [...words, '--help'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(/\nExamples?:\n {2}ringfence /)
  expect(out).toContain(`  ringfence ${words.join(' ')}`)
  expect(out).toContain('--json')
  expect(out).toContain('Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 ')
})

test('the version', async () => {
  expect(await run(place, ['--version'])).toEqual({ code: 0, out: '1.2.3\n', err: '' })
  expect(realDeps().version()).toMatch(/^\d+\.\d+\.\d+/)
})

test('the caller is the person behind sudo', () => {
  expect(callerName({ SUDO_USER: 'alice' })).toBe('alice@cli')
  expect(callerName({})).toMatch(/^.+@cli$/)
})
