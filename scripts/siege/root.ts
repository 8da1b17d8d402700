import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the project, seen from the sources and from dist alike: it has the package.json. */
export const ROOT = find(dirname(fileURLToPath(import.meta.url)))

/** The built program, or another one, as that of an installation. */
export const PROGRAM = process.env.RINGFENCE_PROGRAM ?? join(ROOT, 'dist/agent/cli/main.js')

/** A program of the siege, as it was built. */
export function builtProgram(name: string): string {
  const file = join(ROOT, 'dist/scripts/siege', name)
  if (!existsSync(file)) throw new Error(`${file} is missing; run: npm run build`)
  return file
}

function find(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  if (dirname(folder) === folder) throw new Error('package.json was found in no folder above the siege')
  return find(dirname(folder))
}
