import { readFileSync } from 'node:fs'
import { CliFailure, EXIT } from './outcome.ts'

/**
 * The socket of the daemon: the one that was named, else the one in the configuration file, else the usual one.
 * Members of the group may not be able to read the usual file, and a running daemon keeps its socket when the file
 * is broken: only a file that was named must be readable. `yaml` alone is loaded, not the whole schema.
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
  const { parseDocument } = await import('yaml')
  const socket = parseDocument(text, { prettyErrors: false, logLevel: 'silent' }).getIn(['control', 'socket'])
  return typeof socket === 'string' && socket.startsWith('/') ? socket : wanted.defaults.socket
}
