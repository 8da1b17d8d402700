import { execa } from 'execa'
import { describe, expect, it } from 'vitest'

// Only what ends before anything is touched; the rest is tried on a fresh Debian by scripts/test-install.sh.

async function install(...args: string[]) {
  const { exitCode, stdout, stderr } = await execa('bash', ['install.sh', ...args], {
    reject: false,
    timeout: 10_000,
    env: { LC_ALL: 'C' },
  })
  return { exitCode, stdout, stderr }
}

describe('install.sh', () => {
  it('explains itself', async () => {
    const { exitCode, stdout, stderr } = await install('--help')
    expect({ exitCode, stderr, firstLine: stdout.split('\n')[0] }).toEqual({
      exitCode: 0,
      stderr: '',
      firstLine: 'Usage: sudo ./install.sh [options]',
    })
  })

  it.each([
    ['an unknown option', ['--frobnicate'], 'Unknown option: --frobnicate'],
    ['a word', ['eth0'], 'Unknown option: eth0'],
    ['a purge of what stays', ['--purge'], '--purge goes with --uninstall.'],
    ['no value', ['--interfaces'], '--interfaces needs a value.'],
    [
      'a name that is none',
      ['--interfaces', 'eth0; rm -rf /'],
      '--interfaces takes names with commas between them, for example: --interfaces eth0,wg0',
    ],
    [
      'a port that is none',
      ['--ports=sip'],
      '--ports takes port numbers with commas between them, for example: --ports 5060,5080',
    ],
  ])('refuses %s', async (_what, args, sentence) => {
    expect(await install(...args)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `${sentence}\nSee: ./install.sh --help`,
    })
  })
})

describe('the shell scripts', () => {
  it.each(['install.sh', 'scripts/test.sh', 'scripts/test-install.sh', '.ci/run'])(
    '%s parses',
    async (script) => {
      const { exitCode, stderr } = await execa('bash', ['-n', script], { reject: false, timeout: 10_000 })
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    },
  )
})
