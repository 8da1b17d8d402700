import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BesideRequest } from './deps.ts'
import { CliFailure, EXIT } from './outcome.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const INTERRUPTED = 130

/**
 * Runs a program of `scripts/siege` that was built beside this one, on this terminal, and gives its exit code. What it is
 * to do goes through a pipe, since arguments can be read by everybody on the host and there may be a password in it.
 */
export async function runBeside({ program, input }: BesideRequest): Promise<number> {
  const file = fileURLToPath(new URL(`../../scripts/siege/${program}/main.js`, import.meta.url))
  if (!existsSync(file)) {
    throw new CliFailure(EXIT.failed, 'not-built', `${file} is missing; run: npm run build`)
  }
  const child = spawn(process.execPath, [file], { stdio: ['inherit', 'inherit', 'inherit', 'pipe'] })
  const pipe = child.stdio[3] as NodeJS.WritableStream
  pipe.on('error', () => {})
  pipe.end(JSON.stringify(input))
  // It tidies up, and until it has, this one waits. Of a terminal's Ctrl-C it hears twice, which is once to it.
  const pass = (signal: NodeJS.Signals) => void child.kill(signal)
  for (const signal of SIGNALS) process.on(signal, pass)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve(code ?? INTERRUPTED))
    })
  } finally {
    for (const signal of SIGNALS) process.off(signal, pass)
  }
}
