// Builds everything into dist/: the daemon and command line (tsc) and the page (vite).
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

rmSync(`${root}dist`, { recursive: true, force: true })
run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', 'tsconfig.build.json'])
if (existsSync(`${root}dashboard/web/vite.config.ts`)) {
  run(process.execPath, [
    `${root}node_modules/vite/bin/vite.js`,
    'build',
    'dashboard/web',
    '--logLevel',
    'warn',
  ])
}
// Compiled where it is used: a siege, or `ringfence simulate` on an installed host.
copyFileSync(`${root}scripts/siege/flood.c`, `${root}dist/scripts/siege/flood.c`)
chmodSync(`${root}dist/agent/cli/main.js`, 0o755)
