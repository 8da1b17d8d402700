import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { ControlPlane } from './control-plane.ts'
import { ApplyBody, BacktestBody, PlanBody, TraceBody } from './schemas.ts'

/** Somewhat more than the largest configuration file, written as JSON. */
const LARGEST_CANDIDATE = 20 * 1024 * 1024
/** A UDP payload in base64. */
const LARGEST_PACKET = 100_000

/** Configurations on trial, what they would change, and what the rules would do with a packet: below `/api/v1`. */
export function addWhatIfRoutes(app: FastifyInstance, { plane }: { readonly plane: ControlPlane }): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>()
  const say = (summary: string) => ({ summary })

  api.post(
    '/apply',
    {
      bodyLimit: LARGEST_CANDIDATE,
      schema: { ...say('Bring a configuration in, on trial or for good'), body: ApplyBody },
    },
    (request) => {
      const { text, file, confirmWithin } = request.body
      return plane.apply({
        text,
        file,
        ...(confirmWithin === undefined ? {} : { confirmWithin }),
        by: request.caller,
      })
    },
  )
  api.post('/confirm', { schema: say('Keep the configuration that is on trial') }, (request) =>
    plane.confirm({ by: request.caller }),
  )
  api.post('/revert', { schema: say('Take the configuration that is on trial back') }, (request) =>
    plane.revert({ by: request.caller }),
  )
  api.post(
    '/plan',
    { bodyLimit: LARGEST_CANDIDATE, schema: { ...say('What a configuration would change'), body: PlanBody } },
    (request) => plane.plan(request.body.candidate),
  )
  api.post(
    '/backtest',
    {
      bodyLimit: LARGEST_CANDIDATE,
      schema: {
        ...say('What a configuration would have decided otherwise about recorded traffic'),
        body: BacktestBody,
      },
    },
    (request) => plane.backtest(request.body),
  )
  api.post(
    '/trace',
    {
      bodyLimit: LARGEST_PACKET,
      schema: { ...say('What the rules would do with an imaginary packet'), body: TraceBody },
    },
    (request) => plane.trace(request.body),
  )
}
