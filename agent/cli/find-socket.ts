import { readFileSync } from 'node:fs'
import { CliFailure, EXIT } from './outcome.ts'

/**
 * The socket of the daemon: the one that was named, else the one in the configuration file, else the usual one.
 * Members of the group may not be able to read the usual file, and a running daemon keeps its socket when the file
 * is broken: only a file that was named must be readable.
 */
export async function findSocket(wanted: {
  readonly socket: string | undefined
  readonly configFile: string | undefined
  readonly defaults: { readonly configFile: string; readonly socket: string }
}): Promise<string> {
  if (wanted.socket !== undefined) return wanted.socket
  let text: string
  try {
    text = readFileSync(wanted.configFile ?? wanted.defaults.configFile, 'utf8')
  } catch (error) {
    if (wanted.configFile === undefined) return wanted.defaults.socket
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new CliFailure(EXIT.failed, 'config', `${wanted.configFile} cannot be read (${code})`)
  }
  if (!text.includes('control')) return wanted.defaults.socket
  const plain = plainSocket(text)
  if (plain !== undefined) return plain
  const { parseDocument } = await import('yaml')
  let read: { readonly control?: { readonly socket?: unknown } } | null
  try {
    read = parseDocument(text, { prettyErrors: false, logLevel: 'silent' }).toJS({ maxAliasCount: 100 })
  } catch {
    return wanted.defaults.socket
  }
  const socket = read?.control?.socket
  return typeof socket === 'string' && socket.startsWith('/') ? socket : wanted.defaults.socket
}

/**
 * The socket as an installation writes it, two plain lines of a block mapping: found without loading `yaml`, which
 * takes as long as everything else that a command does. Undefined for every other way to write it.
 */
function plainSocket(text: string): string | undefined {
  const lines = text.split(/\r?\n/)
  const start = lines.findIndex((line) => /^control:[ ]*(#.*)?$/.test(line))
  if (start < 0) return undefined
  for (const line of lines.slice(start + 1)) {
    const socket = /^ +socket: +(\/[A-Za-z0-9._/-]+) *(?:#.*)?$/.exec(line)
    if (socket) return socket[1]
    if (!/^( +[A-Za-z]+: *[A-Za-z0-9_-]*| *#.*| *)$/.test(line)) return undefined
  }
  return undefined
}
