/** What a registry's refusal means to someone who asked for an image, in the words that clients look for. */
import { EngineError } from '../base/errors.ts'
import { familiar, familiarName, type Reference } from './reference.ts'
import { RegistryError } from './registry-errors.ts'

/** Anything but a registry's answer comes back as it is. */
export function translatePullError(error: unknown, reference: Reference): unknown {
  if (!(error instanceof RegistryError) || error.status === undefined) return error
  const text = sentence(error, reference)
  return text === undefined ? error : new EngineError('not-found', `${text}: ${error.reason}`, { cause: error })
}

function sentence({ code, status }: RegistryError, reference: Reference): string | undefined {
  if (code === 'DENIED')
    return `pull access denied for ${familiarName(reference)}, repository does not exist or may require 'docker login'`
  if (code === 'NAME_UNKNOWN') return `repository ${familiarName(reference)} not found`
  if (code === 'MANIFEST_UNKNOWN' || status === 404) return `manifest for ${familiar(reference)} not found`
  return undefined
}
