/** The OCI config is made of small steps, each a function from a config to a config; nothing is changed in place. */
import type { OciLinux, OciProcess, OciSpec } from './oci.ts'

export type SpecStep = (spec: OciSpec) => OciSpec

/** Runs the steps in their order: a later one sees, and may replace, what an earlier one has set. */
export const build = (base: OciSpec, ...steps: readonly SpecStep[]): OciSpec =>
  steps.reduce((spec, step) => step(spec), base)

/** The steps if the condition holds, else nothing. */
export const when = (condition: boolean, ...steps: readonly SpecStep[]): SpecStep =>
  condition ? together(...steps) : (spec) => spec

/** Several steps as one. */
export const together =
  (...steps: readonly SpecStep[]): SpecStep =>
  (spec) =>
    build(spec, ...steps)

/** A step that changes `linux` only. */
export const linuxStep =
  (change: (linux: OciLinux) => OciLinux): SpecStep =>
  (spec) => ({ ...spec, linux: change(spec.linux ?? {}) })

/** A step that changes `process` only; a config without one gets root in `/`. */
export const processStep =
  (change: (process: OciProcess) => OciProcess): SpecStep =>
  (spec) => ({ ...spec, process: change(spec.process ?? { user: { uid: 0, gid: 0 }, args: [], cwd: '/' }) })
