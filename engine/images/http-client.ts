/**
 * The HTTP client that speaks to registries: imported by call, by the first request, because it is half of the daemon's
 * text and many a daemon never pulls. A module of ours, since a bundle gives a CommonJS one no names when it is called.
 */
import { getCACertificates } from 'node:tls'
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici'

export type Connections = {
  /** Milliseconds. */
  timeout: number
  insecure: boolean
  /** Never through a proxy. */
  direct: boolean
}

export function openConnections({ timeout, insecure, direct }: Connections): Dispatcher {
  const connect = {
    timeout,
    rejectUnauthorized: !insecure,
    // Companies add their own authorities to the system's store, which Node alone does not read.
    ca: insecure ? [] : [...getCACertificates('default'), ...getCACertificates('system')],
  }
  const proxied = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'].some((name) => process.env[name])
  return proxied && !direct
    ? new EnvHttpProxyAgent({ connect, requestTls: connect, allowH2: false })
    : new Agent({ connect, allowH2: false })
}

export const ask = (url: URL, options: Parameters<typeof request<null>>[1]): Promise<Dispatcher.ResponseData> =>
  request(url, options)
