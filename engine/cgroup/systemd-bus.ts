/** The manager of units that a running systemd is, over D-Bus; org.freedesktop.systemd1(5). */
import { existsSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { DBusConnection, DBusError } from './dbus-connection.ts'
import type { DBusValue, Variant } from './dbus-message.ts'
import type { UnitProperty } from './systemd-unit.ts'

const manager = {
  destination: 'org.freedesktop.systemd1',
  path: '/org/freedesktop/systemd1',
  interface: 'org.freedesktop.systemd1.Manager',
}

/** Where to find it: the machine's own, or that of the user who calls. */
export type SystemdScope = 'system' | 'user'

const privateSocket = '/run/systemd/private'

/** `unix:path=/run/user/1000/bus,guid=…`: the first address with a path. */
export function pathOfAddress(address: string): string | undefined {
  for (const one of address.split(';')) {
    const path = /^unix:(?:.*,)?path=([^,]*)/.exec(one)?.[1]
    if (path !== undefined) return decodeURIComponent(path)
  }
  return undefined
}

function openBus(scope: SystemdScope, environment: NodeJS.ProcessEnv): DBusConnection {
  if (scope === 'user') {
    const runtime = environment.XDG_RUNTIME_DIR
    const path =
      pathOfAddress(environment.DBUS_SESSION_BUS_ADDRESS ?? '') ??
      (runtime === undefined ? undefined : `${runtime}/bus`)
    if (path === undefined)
      throw new EngineError(
        'unavailable',
        'no message bus of the user: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set',
      )
    return DBusConnection.open(path)
  }
  const path = pathOfAddress(environment.DBUS_SYSTEM_BUS_ADDRESS ?? '') ?? '/run/dbus/system_bus_socket'
  // A machine without a bus still has systemd's own socket, for root.
  if (!existsSync(path) && existsSync(privateSocket)) return DBusConnection.open(privateSocket, { peer: true })
  return DBusConnection.open(path)
}

/** sd_booted(3). */
export const systemdRuns = (): boolean => existsSync('/run/systemd/system')

export class SystemdBus implements Disposable {
  readonly #bus: DBusConnection

  /** Throws unavailable where no systemd is to be reached. */
  constructor(scope: SystemdScope, environment: NodeJS.ProcessEnv = process.env) {
    if (!systemdRuns())
      throw new EngineError(
        'unavailable',
        'groups of systemd were asked for, but systemd does not run here: /run/systemd/system is missing',
      )
    this.#bus = openBus(scope, environment)
  }

  [Symbol.dispose](): void {
    this.#bus[Symbol.dispose]()
  }

  #call(member: string, signature: string, body: DBusValue[]): DBusValue[] {
    return this.#bus.call({ ...manager, member, signature, body })
  }

  /** The group of the manager itself: '' or '/' for the machine's. */
  controlGroup(): string {
    const [value] = this.#bus.call({
      ...manager,
      interface: 'org.freedesktop.DBus.Properties',
      member: 'Get',
      signature: 'ss',
      body: [manager.interface, 'ControlGroup'],
    })
    return String((value as Variant).value)
  }

  /** Starts it and waits until it runs; a unit of the name from an earlier failure is forgotten first. */
  startUnit(unit: string, properties: readonly UnitProperty[]): void {
    this.#listen()
    const start = (): DBusValue[] =>
      this.#call('StartTransientUnit', 'ssa(sv)a(sa(sv))', [unit, 'replace', properties.map(([...pair]) => pair), []])
    try {
      this.#finish(start(), unit, 'start')
    } catch (error) {
      if (!(error instanceof DBusError) || !error.errorName.endsWith('.UnitExists')) throw error
      this.resetFailed(unit)
      this.#finish(start(), unit, 'start')
    }
  }

  /** Until the next boot, or as long as the unit lives. */
  setProperties(unit: string, properties: readonly UnitProperty[]): void {
    if (properties.length > 0)
      this.#call('SetUnitProperties', 'sba(sv)', [unit, true, properties.map(([...pair]) => pair)])
  }

  /** Moves processes in, where the caller may not write to the groups itself; 0 is the caller. */
  attach(unit: string, pid: number): void {
    this.#call('AttachProcessesToUnit', 'ssau', [unit, '', [pid]])
  }

  /** Gone already is as good. */
  stopUnit(unit: string): void {
    this.#listen()
    try {
      this.#finish(this.#call('StopUnit', 'ss', [unit, 'replace']), unit, 'stop')
    } catch (error) {
      if (!(error instanceof DBusError) || !error.errorName.endsWith('.NoSuchUnit')) throw error
    }
    this.resetFailed(unit)
  }

  resetFailed(unit: string): void {
    try {
      this.#call('ResetFailedUnit', 's', [unit])
    } catch (error) {
      if (!(error instanceof DBusError)) throw error
      // It has not failed, or is not there any more.
    }
  }

  #listen(): void {
    this.#bus.subscribe(
      `type='signal',sender='${manager.destination}',interface='${manager.interface}',member='JobRemoved'`,
    )
    try {
      this.#call('Subscribe', '', [])
    } catch (error) {
      if (!(error instanceof DBusError) || !error.errorName.endsWith('.AlreadySubscribed')) throw error
    }
  }

  /** A job is done when the manager says that it is removed, with how it went. */
  #finish([job]: DBusValue[], unit: string, verb: string): void {
    const { body } = this.#bus.waitForSignal(
      ({ member, body: [, path] }) => member === 'JobRemoved' && path === job,
      `systemd's job to ${verb} ${unit}`,
    )
    const result = body[3]
    if (result === 'done' || (verb === 'stop' && result === 'canceled')) return
    this.resetFailed(unit)
    throw new EngineError('internal', `systemd could not ${verb} ${unit}: ${String(result)}`)
  }
}
