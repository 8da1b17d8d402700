import { CliFailure, EXIT } from './outcome.ts'

/** Ports with commas between them; none for an empty text. */
export function readPorts(text: string, { option }: { readonly option: string }): number[] {
  if (text.trim() === '') return []
  const ports = text.split(',').map((part) => (/^\s*\d{1,5}\s*$/.test(part) ? Number(part) : 0))
  if (ports.every((port) => port >= 1 && port <= 65_535)) return [...new Set(ports)]
  const message = `${option} ${JSON.stringify(text)} is no list of ports; write it like 5060,5061`
  throw new CliFailure(EXIT.usage, 'bad-input', message)
}
