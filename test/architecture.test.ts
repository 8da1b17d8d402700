import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ROOMS = ['agent', 'dashboard', 'registrar', 'rules']

function sourceFiles(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return sourceFiles(path)
    return /\.tsx?$/.test(entry.name) ? [path] : []
  })
}

/** The project's files that a file imports, statically or not. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, path]) =>
    relative(ROOT, join(ROOT, dirname(file), path!)),
  )
}

/** The table "Who may import whom" of docs/architecture.md, as it stands there. */
function readTable(): { room: string; may: string[] }[] {
  const page = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')
  const table = page.slice(page.indexOf('## Who may import whom'))
  return [...table.matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)].map(([, room, may]) => ({
    room: room!,
    may: may!.startsWith('everything') ? ROOMS : [...may!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
  }))
}

const isIn = (file: string, room: string) => file.startsWith(`${room}/`) || file === `${room}.ts`

describe('the rooms', () => {
  const table = readTable()
  const files = ROOMS.flatMap(sourceFiles)

  it('are all in the table of docs/architecture.md', () => {
    expect(table.length).toBeGreaterThan(12)
    expect(files.length).toBeGreaterThan(100)
    expect(files.filter((file) => !table.some(({ room }) => isIn(file, room)))).toEqual([])
  })

  it.each(table)('$room imports only what the table lets it', ({ room, may }) => {
    // The most particular row counts: agent/decode and not agent.
    const isOfRoom = (file: string) =>
      isIn(file, room) && !table.some((other) => other.room.length > room.length && isIn(file, other.room))
    const broken = files
      .filter(isOfRoom)
      .flatMap((file) => importsOf(file).map((imported) => ({ file, imported })))
      .filter(({ imported }) => !isIn(imported, room) && !may.some((name) => isIn(imported, name)))
    expect(broken).toEqual([])
  })

  it('rules knows neither agent nor dashboard, registrar knows none of them', () => {
    const row = (name: string) => table.find(({ room }) => room === name)?.may
    expect(row('rules')).toEqual(['registrar/net'])
    expect(row('registrar')).toEqual(['registrar/sip', 'registrar/net'])
  })

  it('only the one reader reads SIP: nothing of the product imports the package sip', () => {
    const importing = files.filter((file) => /from 'sip'/.test(readFileSync(join(ROOT, file), 'utf8')))
    expect(importing).toEqual([])
  })
})
