/** `ctrl-p,ctrl-q`, `a`, `ctrl-@` … as the bytes that a terminal sends for them. */
import { invalid } from './errors.ts'

const controls = 'abcdefghijklmnopqrstuvwxyz'

function keyByte(name: string): number | undefined {
  if (/^[\x20-\x7e]$/.test(name)) return name.charCodeAt(0)
  const control = /^ctrl-(.)$/.exec(name)?.[1]
  if (control === undefined) return undefined
  const at = controls.indexOf(control)
  if (at >= 0) return at + 1
  const others: Record<string, number> = { '@': 0, '[': 27, '\\': 28, ']': 29, '^': 30, _: 31 }
  return others[control]
}

/** Undefined for the empty text: the default applies. */
export function detachKeys(text: string): Buffer | undefined {
  if (text === '') return undefined
  const keys = text.split(',').map(keyByte)
  if (!keys.every((key) => key !== undefined)) throw invalid(`Invalid detach keys (${text}) provided`)
  return Buffer.from(keys)
}
