/*
 * Reasons, User-Agents and account names come from attackers. Whatever could move a cursor, change a colour, or
 * reorder what is read never reaches a terminal as it is.
 */
const UNPRINTABLE =
  /[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|[\u{e0000}-\u{e0fff}]/gu

/** Text from the daemon with control and direction characters made visible, on one line. */
export function plain(text: string): string {
  return text.replace(UNPRINTABLE, escaped)
}

/** The same for text whose line breaks are meant. */
export function plainLines(text: string): string {
  return text.split('\n').map(plain).join('\n')
}

/** One line of JSON that a terminal shows harmlessly too. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replace(UNPRINTABLE, escaped)}\n`
}

function escaped(character: string): string {
  let text = ''
  for (let i = 0; i < character.length; i++) {
    text += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
  }
  return text
}

export type Colour = 'bold' | 'red' | 'green' | 'yellow' | 'dim'

const CODES: Readonly<Record<Colour, string>> = { bold: '1', red: '31', green: '32', yellow: '33', dim: '2' }

/** Text that is already plain, in a colour where colours are welcome. */
export function paint(text: string, colour: Colour, { colours }: { readonly colours: boolean }): string {
  return colours ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text
}

export interface Column {
  readonly title: string
  readonly align?: 'right'
}

/** Columns wide enough for what is in them, two spaces apart. Cells are made plain here. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { colours }: { readonly colours: boolean },
): string {
  const cells = rows.map((row) => row.map(plain))
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...cells.map((row) => widthOf(row[i] ?? ''))),
  )
  const line = (row: readonly string[]) =>
    columns
      .map(({ align }, i) => {
        const padding = ' '.repeat(widths[i]! - widthOf(row[i] ?? ''))
        return align === 'right' ? padding + (row[i] ?? '') : (row[i] ?? '') + padding
      })
      .join('  ')
      .trimEnd()
  const title = paint(line(columns.map(({ title }) => title)), 'bold', { colours })
  return `${[title, ...cells.map(line)].join('\n')}\n`
}

/** `name  value` lines, the values under each other. Cells are made plain here. */
export function facts(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows
    .map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`.trimEnd())
    .join('\n')
    .concat('\n')
}

/** `2026-01-02 03:04:05` in the local time zone. */
export function showTime(time: number): string {
  const date = new Date(time)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `1 block`, `2 blocks`; thousands are set apart. */
export function count(amount: number, noun: string, plural = `${noun}s`): string {
  return `${number(amount)} ${amount === 1 ? noun : plural}`
}

export function number(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString('en-US') : value.toFixed(1)
}

function widthOf(text: string): number {
  return [...text].length
}
