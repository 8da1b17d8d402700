/**
 * What attack tools call themselves, in small letters, as the User-Agent begins. Evidence, never proof: anybody can
 * write any name, and most tools let theirs be changed. Names that honest phones and tools use too (eyeBeam, sipsak,
 * Asterisk PBX) are not among them.
 */
const TOOLS: readonly string[] = [
  'friendly-scanner',
  'friendly-request',
  'sipvicious',
  'sundayddr',
  'sipcli',
  'vaxsipuseragent',
  'vaxipuseragent',
  'pplsip',
  'iwar',
  'sip-scan',
  'smap',
  'gulp',
  'siparmyknife',
  'sivus',
  'nmap nse',
]

/** The first of some User-Agents that a tool is known by; undefined where there is none. */
export function toolAmong(userAgents: Iterable<string>): string | undefined {
  for (const agent of userAgents) {
    const small = agent.trimStart().toLowerCase()
    if (TOOLS.some((tool) => small.startsWith(tool))) return agent
  }
  return undefined
}
