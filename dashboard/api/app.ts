import swagger from '@fastify/swagger'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Clock } from '../../registrar/net/time.ts'
import { isApiRoute } from './api-route.ts'
import type { ControlPlane } from './control-plane.ts'
import { answerOf, type ErrorAnswer } from './errors.ts'
import { LIVE_PACE, type LivePace, openLiveHub } from './live.ts'
import { addRoutes } from './routes.ts'
import { openWebDoor, type WebDoor } from './web-door.ts'
import { addWhatIfRoutes } from './what-if-routes.ts'

/** The door for programs on this host: the permissions of the socket say who may come in. */
export interface SocketDoor {
  readonly kind: 'socket'
}

export interface ApiOptions {
  readonly plane: ControlPlane
  readonly door: SocketDoor | WebDoor
  readonly version: string
  readonly log?: FastifyBaseLogger
  readonly now?: Clock
  readonly livePace?: Partial<LivePace>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who gives the order, for the audit trail: `admin@dashboard`, `root@cli`. */
    caller: string
    /** Whether a stream that this request opened may go on. */
    isStillWelcome: () => boolean
  }
  interface FastifyContextConfig {
    /** Served without a login. */
    isOpenToAll?: boolean
  }
}

/**
 * The API on one door, ready to listen. Only the web door has a login and a page; only the socket's takes
 * configurations, which hold passwords and are the business of whoever may write the file.
 */
export async function buildApi(options: ApiOptions): Promise<FastifyInstance> {
  const app = Fastify({
    ...(options.log ? { loggerInstance: options.log } : { logger: false }),
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: false,
    bodyLimit: 65_536,
    requestTimeout: 15_000,
    connectionTimeout: 60_000,
    keepAliveTimeout: 30_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 256 },
    // What was sent must already be right: nothing is coerced, and a misspelt key is an error.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
  }) as unknown as FastifyInstance
  const hub = openLiveHub(options.plane, { ...LIVE_PACE, ...options.livePace })

  app.server.headersTimeout = 10_000
  app.removeContentTypeParser('text/plain')
  app.decorateRequest('caller', '')
  app.decorateRequest('isStillWelcome')
  answerErrors(app)
  app.addHook('onRequest', async (request, reply) => {
    request.isStillWelcome = () => true
    if (isApiRoute(request)) reply.header('cache-control', 'no-store')
  })
  app.addHook('onResponse', async (request) => {
    if (request.method !== 'GET') hub.refresh()
  })
  app.addHook('preClose', async () => hub.close())

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Ringfence', version: options.version },
    },
  })
  if (options.door.kind === 'web') {
    await openWebDoor(app, options.door, { hub, now: options.now ?? Date.now })
  } else {
    app.addHook('onRequest', async (request) => {
      request.caller = readCaller(request.headers['x-ringfence-by'])
    })
  }
  const { plane, door } = options
  await app.register(
    async (api) => {
      addRoutes(api, { plane, hub })
      if (door.kind === 'socket') addWhatIfRoutes(api, { plane })
    },
    { prefix: '/api/v1' },
  )
  await app.ready()
  return app
}

/** A name for the audit trail is a claim of whoever may open the socket: kept short and plain. */
export function readCaller(header: string | readonly string[] | undefined): string {
  const text = typeof header === 'string' ? header : (header?.[0] ?? '')
  return text.replace(/[^A-Za-z0-9._@-]/g, '').slice(0, 64) || 'unnamed@socket'
}

function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const { status, body, unexpected } = answerOf(error, request)
    if (unexpected) request.log.error({ error, method: request.method, url: request.url }, 'api: failed')
    reply.code(status).send(body)
  })
  app.setNotFoundHandler((_request, reply) => {
    const body: ErrorAnswer = { error: 'not-found', message: 'There is nothing under this address.' }
    reply.code(404).send(body)
  })
}
