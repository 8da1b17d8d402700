import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CACHE = `${ROOT}node_modules/.cache/`

export interface Compiled {
  /** The path of the compiled form of a source file, as `agent/capture/live.ts`. */
  path(source: string): string
  remove(): void
}

/**
 * Compiles the project for tests that start parts of it as processes of their own, which plain Node has to read.
 * It lies below node_modules, so that what is compiled finds the packages.
 */
export async function compileProject(): Promise<Compiled> {
  mkdirSync(CACHE, { recursive: true })
  const folder = mkdtempSync(`${CACHE}ringfence-test-`)
  const tsc = `${ROOT}node_modules/typescript/bin/tsc`
  const options = ['-p', 'tsconfig.build.json', '--outDir', folder, '--sourceMap', 'false']
  await execa(process.execPath, [tsc, ...options], { cwd: ROOT, timeout: 60_000, reject: false })
  return {
    path: (source) => `${folder}/${source.replace(/\.ts$/, '.js')}`,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
