import { createHash, timingSafeEqual } from 'node:crypto'
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import cookie from '@fastify/cookie'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import fastifyStatic from '@fastify/static'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../registrar/net/time.ts'
import { isApiRoute } from './api-route.ts'
import { DoorRefused } from './errors.ts'
import type { LiveHub } from './live.ts'
import { createLoginLimit } from './login-limit.ts'
import { checkHost, checkNotCrossSite, checkSameOrigin } from './same-origin.ts'
import { LoginBody } from './schemas.ts'
import { createSessionTable, SESSION_LIFE } from './sessions.ts'

const SESSION_COOKIE = 'ringfence_session'

/** The door for browsers: whoever comes in must know the password, and be the page itself. */
export interface WebDoor {
  readonly kind: 'web'
  readonly password: string
  /** The folder of the built page. */
  readonly webRoot: string
  /** Names that the dashboard may be opened under, besides localhost, this host's name and bare addresses. */
  readonly hosts?: readonly string[]
}

/** What one address may ask a minute, pages and failed look-ups included. */
const REQUESTS_A_MINUTE = 1200

const CONTENT_SECURITY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
}

/** Guards everything that is registered on `app` afterwards, and adds login, logout and the page. */
export async function openWebDoor(
  app: FastifyInstance,
  door: WebDoor,
  options: { hub: LiveHub; now: Clock },
): Promise<void> {
  const { hub, now } = options
  const sessions = createSessionTable({ now })
  const limit = createLoginLimit({ now })
  const names = new Set([hostname(), ...(door.hosts ?? [])].map((name) => name.toLowerCase()))
  const passwordHash = hash(door.password)

  app.server.maxConnections = 256
  await app.register(cookie)
  // Plain HTTP on the loopback or behind the admin's own TLS proxy: what forces https would lock him out.
  await app.register(helmet, {
    contentSecurityPolicy: CONTENT_SECURITY,
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
  })
  app.addHook('onRequest', async (request) => checkHost(request.headers, names))
  await app.register(rateLimit, {
    max: REQUESTS_A_MINUTE,
    timeWindow: 60_000,
    cache: 4096,
    errorResponseBuilder: (_request, { after }) =>
      new DoorRefused('too-many', `Too many requests from your address; try again in ${after}.`),
  })
  app.addHook('onRequest', async (request) => {
    if (!isApiRoute(request)) return
    const changes = request.method !== 'GET' && request.method !== 'HEAD'
    if (changes) checkSameOrigin(request.headers)
    else checkNotCrossSite(request.headers)
    const id = request.cookies[SESSION_COOKIE]
    if (sessions.isOpen(id)) {
      request.caller = 'admin@dashboard'
      request.isStillWelcome = () => sessions.isOpen(id)
    } else if (request.routeOptions.config.isOpenToAll !== true) {
      throw new DoorRefused('unauthorised', 'Log in first: POST /api/v1/login with the password.')
    }
  })

  const api = app.withTypeProvider<TypeBoxTypeProvider>()
  api.post(
    '/api/v1/login',
    {
      schema: { summary: 'Log in; sets the session cookie', body: LoginBody },
      config: { isOpenToAll: true },
      bodyLimit: 8192,
    },
    async (request, reply) => {
      const chance = limit.ask(request.ip)
      if (chance.kind === 'wait') {
        reply.header('retry-after', chance.seconds)
        throw new DoorRefused('too-many', `Too many wrong passwords; try again in ${chance.seconds} s.`)
      }
      if (!timingSafeEqual(hash(request.body.password), passwordHash)) {
        limit.failed(request.ip)
        request.log.warn({ address: request.ip }, 'dashboard: wrong password')
        throw new DoorRefused('unauthorised', 'That is not the password.')
      }
      limit.succeeded(request.ip)
      sessions.close(request.cookies[SESSION_COOKIE])
      reply.setCookie(SESSION_COOKIE, sessions.open(), {
        path: '/',
        httpOnly: true,
        sameSite: 'strict',
        maxAge: SESSION_LIFE / 1000,
      })
      request.log.info({ address: request.ip }, 'dashboard: logged in')
      return { name: 'admin' }
    },
  )
  api.post(
    '/api/v1/logout',
    { schema: { summary: 'End the session' }, config: { isOpenToAll: true } },
    async (request, reply) => {
      sessions.close(request.cookies[SESSION_COOKIE])
      hub.sweep()
      reply.clearCookie(SESSION_COOKIE, { path: '/', httpOnly: true, sameSite: 'strict' })
      return {}
    },
  )
  await addPage(app, door.webRoot)
}

async function addPage(app: FastifyInstance, webRoot: string): Promise<void> {
  if (!existsSync(join(webRoot, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, async (_request, reply) =>
      reply.code(503).type('text/plain').send('The page has not been built yet: run "npm run build".\n'),
    )
    return
  }
  await app.register(fastifyStatic, {
    root: webRoot,
    // One route a file that is there now: no path that somebody sends ever reaches the file system.
    wildcard: false,
    schemaHide: true,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const isHashed = path.includes('/assets/')
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
