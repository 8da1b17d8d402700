import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { ControlPlane } from './control-plane.ts'
import type { LiveHub } from './live.ts'
import {
  AccountBody,
  AddressParams,
  AllowBody,
  AorParams,
  BlockBody,
  EnforceBody,
  StrictBody,
  TargetBody,
} from './schemas.ts'
import { readAddressOrPort, readDecisionTarget, readTarget } from './target.ts'

/** The routes that both doors serve, below `/api/v1`. The door has already set `request.caller`. */
export function addRoutes(app: FastifyInstance, options: { plane: ControlPlane; hub: LiveHub }): void {
  const { plane, hub } = options
  const api = app.withTypeProvider<TypeBoxTypeProvider>()
  const say = (summary: string) => ({ summary })

  api.get('/status', { schema: say('How the host, the sensor and the rules are') }, () => plane.status())
  api.get('/blocked', { schema: say('Blocks and suspensions that stand now') }, () => plane.blocked())
  api.get('/allowed', { schema: say('The allowlist') }, () => plane.allowed())
  api.get('/accounts', { schema: say("The registrar's accounts") }, () => plane.accounts())
  api.get(
    '/bindings',
    { schema: say("The registrar's bindings, or those that the softswitch's answers told of") },
    () => plane.bindings(),
  )
  api.get(
    '/sources/:address',
    {
      schema: {
        ...say('What is known of one source, or of an address and port of it'),
        params: AddressParams,
      },
    },
    (request) => plane.explain(readAddressOrPort(request.params.address)),
  )
  api.get(
    '/live',
    { schema: say('Server-sent events: status, then live, health and heartbeat') },
    (request, reply) => hub.join(reply, request.isStillWelcome),
  )
  api.get('/openapi.json', { schema: { ...say('This document'), hide: true } }, () => app.swagger())

  api.post(
    '/blocks',
    { schema: { ...say('Block an address or prefix, scope sip'), body: BlockBody } },
    async (request, reply) => {
      const { target, seconds, reason } = request.body
      reply.code(201)
      return plane.block({
        target: readTarget(target),
        ...(seconds === undefined ? {} : { seconds }),
        ...(reason === undefined ? {} : { reason }),
        by: request.caller,
      })
    },
  )
  api.post(
    '/unblock',
    { schema: { ...say('Take back every block and suspension of a target'), body: TargetBody } },
    (request) => plane.unblock({ target: readDecisionTarget(request.body.target), by: request.caller }),
  )
  api.post(
    '/allow',
    { schema: { ...say('Put a target on the allowlist'), body: AllowBody } },
    async (request, reply) => {
      const { target, reason } = request.body
      reply.code(201)
      return plane.allow({
        target: readTarget(target),
        ...(reason === undefined ? {} : { reason }),
        by: request.caller,
      })
    },
  )
  api.post(
    '/disallow',
    { schema: { ...say('Take a target off the allowlist'), body: TargetBody } },
    (request) => plane.disallow({ target: readTarget(request.body.target), by: request.caller }),
  )
  api.post(
    '/enforce-sip',
    { schema: { ...say('Enforce the SIP limit, or only observe it'), body: EnforceBody } },
    (request) => plane.enforceSip({ enforced: request.body.enforced, by: request.caller }),
  )
  api.post(
    '/strict',
    {
      schema: {
        ...say('Have the strict limits decide, or not, or as an attack asks for it'),
        body: StrictBody,
      },
    },
    (request) => plane.strict({ order: request.body.order, by: request.caller }),
  )
  api.post('/off', { schema: say('Take every rule and set out of the kernel') }, (request) =>
    plane.off({ by: request.caller }),
  )
  api.post('/on', { schema: say('Put the rules back') }, async (request) => {
    const { notice } = await plane.on({ by: request.caller })
    return { on: true, notice }
  })
  api.post(
    '/accounts',
    { schema: { ...say('Add an account of the registrar'), body: AccountBody } },
    async (request, reply) => {
      reply.code(201)
      return plane.addAccount({ ...request.body, by: request.caller })
    },
  )
  api.delete(
    '/accounts/:aor',
    { schema: { ...say('Remove an account of the registrar'), params: AorParams } },
    (request) => plane.removeAccount({ aor: request.params.aor, by: request.caller }),
  )
}
