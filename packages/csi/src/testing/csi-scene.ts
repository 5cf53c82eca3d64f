// A driver for tests: the services of the product behind a real gRPC server on a Unix socket, over an rsiod in memory. A scene can be
// killed at a step and started again over the same servers.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '@rsio/base/lib/clock';
import { quietLog } from '@rsio/base/log/log';
import { onTestFinished } from 'vitest';
import { controllerServices } from '../controller/controller-service.ts';
import { identityService } from '../identity.ts';
import { Calls } from '../rpc/calls.ts';
import type { ServiceName } from '../rpc/proto.ts';
import { RpcServer, type Service } from '../rpc/rpc-server.ts';
import type { Code } from '../rpc/status.ts';
import { CsiClient, methodOf } from './csi-client.ts';
import type { FakeRsiod } from './fake-rsiod.ts';
import { GIB } from './fake-servers.ts';

export const WRITER = { accessType: 'mount', mount: { fsType: 'ext4', mountFlags: [] }, accessMode: { mode: 'SINGLE_NODE_WRITER' } };
export const BLOCK_WRITER = { accessType: 'block', block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } };
export const BLOCK_SHARED = { accessType: 'block', block: {}, accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' } };
/** Maximum number of steps of one call. A call with more steps would make a test of all kills endless. */
const STEPS_MAX = 200;

type Services = Readonly<Partial<Record<ServiceName, Service>>>;

export interface Scene {
  readonly client: CsiClient;
  /** The calls that have ended: name and status. */
  readonly ended: readonly (readonly [method: string, status: Code])[];
}

/** Serves these services until the test ends. */
export async function served(services: (calls: Calls) => Services): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-csi-'));
  const ended: (readonly [string, Code])[] = [];
  const calls = new Calls({ clock: systemClock, log: quietLog, ended: (method, status) => ended.push([method, status]) });
  const socket = join(folder, 'csi.sock');
  const server = new RpcServer(socket, calls, services(calls));
  await server.listen();
  const client = new CsiClient(socket);
  onTestFinished(async () => {
    client.close();
    await server.close((ms) => new Promise((resolve) => void systemClock.after(ms, resolve)));
    rmSync(folder, { recursive: true, force: true });
  });
  return { client, ended };
}

export function controllerScene(rsiod: FakeRsiod, clock: Clock = systemClock): Promise<Scene> {
  return served((calls) => controllerOf(rsiod, calls, clock));
}

function controllerOf(rsiod: FakeRsiod, calls: Calls, clock: Clock): Services {
  return {
    Identity: identityService(rsiod.call, quietLog),
    ...controllerServices({ clock, calls, rsiod: rsiod.call, hold: rsiod.hold, namespace: null, newId: () => crypto.randomUUID() }),
  };
}

/** A driver without a socket. */
export function controllerOver(rsiod: FakeRsiod): Pick<CsiClient, 'call'> {
  return direct((calls) => controllerOf(rsiod, calls, systemClock));
}

/** A clock on which every wait ends at once, and which then shows a time as if the wait had lasted. */
export function hurriedClock(): Clock {
  let nowMs = 0;
  return {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after: (delayMs, fire) => {
      const immediate = setImmediate(() => {
        nowMs += delayMs;
        fire();
      });
      return { cancel: () => clearImmediate(immediate) };
    },
    soon: (fire) => queueMicrotask(fire),
  };
}

/** Calls the services without a socket. Messages are encoded and decoded as by gRPC. */
export function direct(services: (calls: Calls) => Services): Pick<CsiClient, 'call'> {
  const calls = new Calls({ clock: systemClock, log: quietLog, ended: () => undefined });
  const all = services(calls);
  return {
    call: async (service, method, request) => {
      const { requestSerialize, requestDeserialize } = methodOf(service, method);
      const handler = all[service]?.handlers[method];
      if (handler === undefined) throw new Error(`The driver has no call ${method}`);
      return calls.run(method, () => handler(requestDeserialize(requestSerialize(request ?? {})) as never));
    },
  };
}

export function newVolume(name: string, changes: object = {}): object {
  return { name, volumeCapabilities: [WRITER], capacityRange: { requiredBytes: GIB }, ...changes };
}

/**
 * Makes a call again and again. Each time, the driver is killed one step later, and the next driver gets the same call. `make` makes a world
 * and returns the call; `check` looks at the world after the call has succeeded.
 */
export async function killedAtEachStep<W extends { readonly rsiod: FakeRsiod }>(
  make: () => Promise<W>,
  call: (client: Pick<CsiClient, 'call'>, world: W) => Promise<unknown>,
  check: (world: W) => void | Promise<void>,
  services: (world: W, calls: Calls) => Services = ({ rsiod }, calls) => controllerOf(rsiod, calls, systemClock),
): Promise<number> {
  for (let at = 0; at < STEPS_MAX; at++) {
    const world = await make();
    const started = (): Pick<CsiClient, 'call'> => direct((calls) => services(world, calls));
    const { kills } = world.rsiod;
    kills.revive(at);
    await call(started(), world).catch(() => undefined);
    const wasKilled = kills.isDead;
    kills.revive(null);
    if (wasKilled) await call(started(), world);
    await check(world);
    // The same call once more changes nothing.
    await call(started(), world);
    await check(world);
    if (!wasKilled) return at;
  }
  throw new Error(`The call has more than ${STEPS_MAX} steps`);
}
