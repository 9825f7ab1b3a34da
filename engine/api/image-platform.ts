/** The `platform` parameter of images that are here: JSON, unlike the text that a pull takes. */
import * as z from 'zod'
import { EngineError } from '../base/errors.ts'
import type { Image } from '../images/image.ts'
import { invalid } from './errors.ts'
import { goObject, word } from './query.schema.ts'

const platformDocument = goObject({
  os: z.string().default(''),
  architecture: z.string().default(''),
  variant: z.string().default(''),
})

export type WantedPlatform = z.output<typeof platformDocument>

function parse(text: string): WantedPlatform {
  try {
    return platformDocument.parse(JSON.parse(text))
  } catch (error) {
    throw invalid(`invalid platform: ${JSON.stringify(text)} is not a platform in JSON`, error)
  }
}

/** Undefined where none is asked for. */
export const platform = word.transform((text) => (text === '' ? undefined : parse(text)))

/** Several, each as one parameter or all in one JSON array. */
export const platforms = z.preprocess(
  (value) => (value === undefined ? [] : [value].flat()),
  z.array(z.string()).transform((texts) => texts.filter((text) => text !== '').flatMap(parseSome)),
)

function parseSome(text: string): WantedPlatform[] {
  if (!text.trimStart().startsWith('[')) return [parse(text)]
  try {
    return (JSON.parse(text) as unknown[]).map((one) => platformDocument.parse(one))
  } catch (error) {
    throw invalid(`invalid platform: ${JSON.stringify(text)} is no list of platforms in JSON`, error)
  }
}

/** `os/architecture[/variant]` */
export const platformText = ({ os, architecture, variant }: WantedPlatform): string =>
  [os, architecture, variant].filter((part) => part !== '').join('/')

/** An image here is for one platform: not-found when that is not the one asked for. */
export function requirePlatform(image: Image, wanted: WantedPlatform | undefined, name: string): void {
  if (wanted === undefined) return
  const { os, architecture, variant } = image.config
  const fits = (asked: string, has: string | undefined): boolean => asked === '' || asked === has
  if (!fits(wanted.os, os) || !fits(wanted.architecture, architecture) || !fits(wanted.variant, variant))
    throw new EngineError(
      'not-found',
      `image with reference ${name} was found but does not provide the specified platform (${platformText(wanted)})`,
    )
}
