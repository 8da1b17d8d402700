import { expect, it } from 'vitest'
import { readHostFigures } from '../../../agent/host/host-figures.ts'

it('the load is that since the last call', async () => {
  const first = await readHostFigures()
  expect(first.memoryUsed).toBeGreaterThan(0)
  expect(first.memoryUsed).toBeLessThan(first.memoryTotal)
  const until = performance.now() + 300
  while (performance.now() < until);
  const { cpu } = await readHostFigures()
  // One core of this host was busy, whatever the others did.
  expect(cpu).toBeGreaterThan(0)
  expect(cpu).toBeLessThanOrEqual(100)
})
