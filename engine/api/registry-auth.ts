/** The X-Registry-Auth header: base64 of a JSON document, in either alphabet, padded or not. */
import type * as z from 'zod'
import type { RegistryAuth } from '../images/image.ts'
import { goObject, optionalText } from './query.schema.ts'

export const authBody: z.ZodType<RegistryAuth> = goObject({
  username: optionalText,
  password: optionalText,
  identitytoken: optionalText,
  registrytoken: optionalText,
  serveraddress: optionalText,
})

/** Undefined for what cannot be read: a pull then goes on without credentials, as dockerd's does. */
export function registryAuth(header: string | string[] | undefined): RegistryAuth | undefined {
  if (typeof header !== 'string' || header === '') return undefined
  try {
    // Node's base64 decoder takes both alphabets.
    const parsed = authBody.safeParse(JSON.parse(Buffer.from(header, 'base64').toString('utf8')))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

/** Ready to be spread into the options of a pull or push. */
export const authOption = (header: string | string[] | undefined): { auth?: RegistryAuth } => {
  const auth = registryAuth(header)
  return auth === undefined ? {} : { auth }
}
