/** Further processes in a running container. */
import * as z from 'zod'
import { EngineError } from '../base/errors.ts'
import type { Exec } from '../lifecycle/containers.ts'
import { empty, hijack, json } from './answer.ts'
import { createExecBody, startExecBody } from './containers.schema.ts'
import type { ExecInspect } from './contract/docker.ts'
import { detachKeys } from './detach-key-text.ts'
import { byId, cells } from './query.schema.ts'
import { route } from './route.ts'

const create = route({
  method: 'POST',
  path: '/containers/{id}/exec',
  params: byId,
  body: createExecBody,
  handle: async (engine, { params, body }) => {
    // Refused now: at the start nobody would see why.
    detachKeys(body.DetachKeys ?? '')
    const id = await engine.containers.createExec(params.id, {
      cmd: body.Cmd,
      env: body.Env,
      user: body.User,
      workingDir: body.WorkingDir,
      privileged: body.Privileged,
      tty: body.Tty,
      attachStdin: body.AttachStdin,
      attachStdout: body.AttachStdout,
      attachStderr: body.AttachStderr,
      ...(!body.DetachKeys ? {} : { detachKeys: body.DetachKeys }),
      ...(body.ConsoleSize === undefined ? {} : { consoleSize: body.ConsoleSize }),
    })
    return json({ Id: id }, 201)
  },
})

/** Frames follow the Tty of this request, not the one of the exec's own configuration. */
const start = route({
  method: 'POST',
  path: '/exec/{id}/start',
  takesOver: true,
  params: byId,
  body: startExecBody,
  handle: async (engine, { params, body }) => {
    const exec = engine.containers.getExec(params.id)
    const options = {
      detach: body.Detach,
      tty: body.Tty,
      ...(body.ConsoleSize === undefined ? {} : { consoleSize: body.ConsoleSize }),
    }
    if (body.Detach) {
      await engine.containers.startExec(exec.id, options)
      return empty(200)
    }
    return hijack(!body.Tty, async () => {
      const stream = await engine.containers.startExec(exec.id, options)
      if (stream === undefined) throw new EngineError('internal', `exec ${exec.id} started without its streams`)
      return stream
    })
  },
})

const resize = route({
  method: 'POST',
  path: '/exec/{id}/resize',
  params: byId,
  query: z.object({ h: cells, w: cells }),
  handle: async (engine, { params, query }) => {
    await engine.containers.resizeExec(params.id, { height: query.h, width: query.w })
    return empty(200)
  },
})

const execView = (exec: Exec): ExecInspect => ({
  ID: exec.id,
  Running: exec.running,
  ExitCode: exec.exitCode,
  ProcessConfig: {
    entrypoint: exec.cmd[0] ?? '',
    arguments: exec.cmd.slice(1),
    tty: exec.tty,
    privileged: exec.privileged,
    user: exec.user,
  },
  OpenStdin: exec.attachStdin,
  OpenStdout: exec.attachStdout,
  OpenStderr: exec.attachStderr,
  CanRemove: !exec.running && exec.exitCode !== null,
  ContainerID: exec.containerId,
  DetachKeys: exec.detachKeys ?? '',
  Pid: exec.pid,
})

const inspect = route({
  method: 'GET',
  path: '/exec/{id}/json',
  params: byId,
  handle: (engine, { params }) => json(execView(engine.containers.getExec(params.id))),
})

export const execRoutes = [create, start, resize, inspect]
