import { describe, expect, it } from 'vitest'
import { readLooseParameters } from '../../../agent/observe/loose-parameters.ts'

function read(written: string): [string, string][] {
  return readLooseParameters(written).map(({ name, value }) => [name, value])
}

describe('parameters that are not as they should be', () => {
  it.each<[string, string, [string, string][]]>([
    [
      'a name within another name is not taken for it',
      'Digest cnonce="zz",cnonce="yy",nonce="real"',
      [
        ['cnonce', 'zz'],
        ['cnonce', 'yy'],
        ['nonce', 'real'],
      ],
    ],
    [
      'a name twice is read twice',
      'Digest nonce="a", NONCE = b',
      [
        ['nonce', 'a'],
        ['nonce', 'b'],
      ],
    ],
    [
      'what stands in quotes is no parameter',
      'Digest uri="x,nonce=\\"y\\",z"',
      [['uri', 'x,nonce=\\"y\\",z']],
    ],
    ['quotes without an end', 'Digest realm="r,nonce="n"', [['realm', 'r,nonce="n']]],
    ['no scheme', 'nonce="n"', [['nonce', 'n']]],
    ['nothing at all', '', []],
    ['commas alone', 'Digest ,,,=,', []],
  ])('%s', (_, written, expected) => {
    expect(read(written)).toEqual(expected)
  })

  it('costs no more the longer and the odder they are', () => {
    const begin = performance.now()
    for (const text of ['"', '\\', ',', '=', ' ', 'a='])
      expect(readLooseParameters(`Digest ${text.repeat(65_000)}`).length).toBeLessThanOrEqual(64)
    // Six walks over 65 kB each; with backtracking it were minutes.
    expect(performance.now() - begin).toBeLessThan(2_000)
  })
})
