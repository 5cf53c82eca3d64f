// Replaces rssrv's server/shared/shared-pool-parts.ts: a listener can be stopped after each step of taking a shared pool (take-steps.ts).
// Invariant: otherwise the engine and the mount do the same as in rssrv.

import type { Engine, StorageClient } from '@rsio/rssrv/farm/engine';
import type { FarmRecord } from '@rsio/rssrv/farm/farm-record';
import type { PoolMount } from '@rsio/rssrv/farm/pool-mount';
import { randomUnit as soundUnit, sharedPoolParts as soundParts } from '@rsio/rssrv/server/shared/shared-pool-parts';
import { reached, type TakeStep } from './take-steps.ts';

export function sharedPoolParts(...args: Parameters<typeof soundParts>): ReturnType<typeof soundParts> {
  const { engine, mount } = soundParts(...args);
  return { engine: stoppedEngine(engine), mount: stoppedMount(mount) };
}

function stoppedEngine(engine: Engine): Engine {
  return {
    kind: engine.kind,
    prepare: (owners) => engine.prepare(owners),
    look: () => engine.look(),
    swap: async (seen, next) => {
      const isDone = await engine.swap(seen, next);
      const step = seen === null ? null : stepOf(seen, next);
      if (isDone && step !== null) reached(step);
      return isDone;
    },
    post: (note) => engine.post(note),
    connect: async (generation) => {
      const client = await engine.connect(generation);
      reached('connected');
      return stoppedClient(client);
    },
    fence: async (writer) => {
      reached('fencing');
      await engine.fence(writer);
      reached('fenced');
    },
    clear: () => engine.clear(),
    close: () => engine.close(),
  };
}

function stepOf(seen: FarmRecord, next: FarmRecord): TakeStep | null {
  if (next.state !== 'taking') return next.state === 'serving' && seen.state === 'taking' ? 'record serving' : null;
  return seen.generation === next.generation ? 'record fenced' : 'record taking';
}

function stoppedClient(client: StorageClient): StorageClient {
  return {
    name: client.name,
    get hasEnded(): boolean {
      return client.hasEnded;
    },
    open: async () => {
      const device = await client.open();
      reached('opened');
      return device;
    },
    grow: () => client.grow(),
    cut: () => client.cut(),
    close: () => client.close(),
  };
}

function stoppedMount(mount: PoolMount): PoolMount {
  return {
    mount: async (device) => {
      await mount.mount(device);
      reached('mounted');
    },
    unmount: () => mount.unmount(),
    refuseCopies: () => mount.refuseCopies(),
    grow: () => mount.grow(),
    probe: async (isWriting) => {
      await mount.probe(isWriting);
      reached('probed');
    },
  };
}

export function randomUnit(): number {
  return soundUnit();
}
