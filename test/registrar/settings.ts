import type { RegistrarSettings } from '../../registrar/open-registrar.ts'
import { DEFAULT_POLICY } from '../../registrar/policy.ts'

/** A registrar with two accounts that keeps nothing and listens nowhere. */
export const SETTINGS: RegistrarSettings = {
  realm: 'ringfence',
  listen: [],
  minExpires: 60,
  maxExpires: 3_600,
  maxBindings: 10,
  registerReplace: true,
  accounts: [
    { user: '1001', password: 'secret' },
    { user: '1002', password: 'geheim' },
  ],
  policy: DEFAULT_POLICY,
  directory: null,
}
