import type { Family } from '../registrar/net/address.ts'
import type { ObservedSet } from './kernel.ts'
import type { SetDefinition } from './names.ts'

/** `create …`, under another name where it is built aside, and with room for so many elements from the start. */
export function renderCreate(
  { name, form, extra }: SetDefinition,
  options: { readonly as?: string; readonly expected?: number } = {},
): string {
  const { as = name, expected = 0 } = options
  const rows = expected > SMALL ? ` hashsize ${2 ** Math.ceil(Math.log2(expected / ELEMENTS_A_ROW))}` : ''
  return `create ${as} ${form}${rows}${extra} -exist`
}

/** A set begins with 1,024 rows and doubles them as it fills, which costs a pass over all that it holds. */
const SMALL = 4_000
const ELEMENTS_A_ROW = 4

/** Families of which a set exists with another type or family, as another version of Ringfence may have left it. */
export function planRebuild(
  sets: ReadonlyMap<string, ObservedSet>,
  definitions: readonly SetDefinition[],
): readonly Family[] {
  const families = definitions
    .filter(({ name, form }) => sets.has(name) && kindOf(sets.get(name)!.form) !== kindOf(form))
    .map((set) => set.family)
  return [...new Set(families)]
}

/** Sets that exist in another form and can be swapped with one that is right. */
export function planReplacements(
  sets: ReadonlyMap<string, ObservedSet>,
  definitions: readonly SetDefinition[],
): readonly SetDefinition[] {
  return definitions.filter(({ name, form }) => {
    const found = sets.get(name)?.form
    return found !== undefined && found !== form && kindOf(found) === kindOf(form)
  })
}

/** Type and family: sets that agree in these can be swapped while chains hold them. */
export function kindOf(form: string): string {
  return form.split(' ', 3).join(' ')
}
