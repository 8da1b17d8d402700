// npm leaves packages for other platforms out of the lock file where the registry in use lacks them, and then refuses
// its own lock file ("not in sync"). Run this after changing dependencies: node scripts/complete-lock.mjs
import { readFileSync, writeFileSync } from 'node:fs'

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const p = lock.packages
let added = 0
for (const [key, pkg] of Object.entries({ ...p })) {
  for (const [name, range] of Object.entries(pkg.optionalDependencies ?? {})) {
    const nested = `${key ? `${key}/` : ''}node_modules/${name}`
    if (p[nested] || p[`node_modules/${name}`]) continue
    if (!/^\d/.test(range)) {
      console.log('not exact', key, name, range)
      continue
    }
    const os =
      ['android', 'darwin', 'freebsd', 'linux', 'win32', 'openharmony'].find((o) => name.includes(o)) ??
      'linux'
    const cpu = ['arm64', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'arm'].find((c) => name.includes(c))
    const libc =
      os === 'linux'
        ? name.includes('musl')
          ? ['musl']
          : name.includes('gnu')
            ? ['glibc']
            : undefined
        : undefined
    p[`node_modules/${name}`] = {
      version: range,
      cpu: [cpu],
      ...(pkg.dev ? { dev: true } : {}),
      ...(libc ? { libc } : {}),
      license: pkg.license,
      optional: true,
      os: [os],
    }
    added++
  }
}
lock.packages = Object.fromEntries(Object.entries(p).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`)
console.log('added', added)
