import type { FastifyRequest } from 'fastify'

/**
 * Whether a request goes to the API. Asked of the route that was matched, never of the text of the URL: the router
 * decodes `/%61pi/v1/status` and finds a route that the text does not show.
 */
export function isApiRoute(request: FastifyRequest): boolean {
  return request.routeOptions.url?.startsWith('/api/') === true
}
