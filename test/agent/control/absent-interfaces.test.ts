import { networkInterfaces } from 'node:os'
import { expect, it } from 'vitest'
import type { Config } from '../../../agent/config/config.ts'
import { hostInterfaces, warnOfAbsentInterfaces } from '../../../agent/control/absent-interfaces.ts'

const protecting = (...interfaces: string[]) => ({ protect: { interfaces } as unknown as Config['protect'] })

it.each<{ listed: string[]; present: string[] | undefined; says: string[] }>([
  { listed: ['eth0'], present: ['lo', 'eth0'], says: [] },
  { listed: ['eth9'], present: undefined, says: [] },
  {
    listed: ['eth9'],
    present: ['lo', 'eth0'],
    says: ['there is no interface eth9: nothing that comes in elsewhere is judged'],
  },
  {
    listed: ['eth0', 'eth9'],
    present: ['lo', 'eth0'],
    says: ['there is no interface eth9: nothing that comes in other than on eth0 is judged'],
  },
  {
    listed: ['eth8', 'eth9'],
    present: ['lo', 'eth0'],
    says: ['there are no interfaces eth8, eth9: nothing that comes in elsewhere is judged'],
  },
])('$listed on a host with $present', ({ listed, present, says }) => {
  expect(warnOfAbsentInterfaces(protecting(...listed), present)).toEqual(says)
})

it('the host’s own interfaces are those that the kernel lists', () => {
  const names = hostInterfaces()
  expect(names).toContain('lo')
  expect(names).toEqual(expect.arrayContaining(Object.keys(networkInterfaces())))
  for (const name of names!) expect(name).toMatch(/^\S{1,15}$/)
})
