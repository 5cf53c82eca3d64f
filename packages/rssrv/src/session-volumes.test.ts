// Holds and handles of one session where OPEN and CLOSE of a volume meet: a hold stays as long as a handle may come of it.
// Leaves who may hold what to holders.ts, and copies of requests to session-copies.test.ts.

import { expect, test } from 'vitest';
import { ANSWER, frameName, OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { decodeOpenAnswer, encodeOpenRequest } from '@rsio/protocol/wire/message-codec';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Backend } from './backends/backend.ts';
import type { ServedVolume } from './served-volume.ts';
import { SessionVolumes } from './session-volumes.ts';
import { HeldStorage } from './testing/raw-client.ts';

const NOTHING = Buffer.alloc(0);
const VOLUME: ServedVolume = {
  name: 'oracle',
  universe: 0,
  id: 'id',
  type: 'memory',
  path: null,
  sizeBytes: 1 << 20,
  blockSizeBytes: 512,
  readonly: false,
  shared: false,
  clients: null,
};

class Scene {
  readonly said: string[] = [];
  readonly storage = new HeldStorage();
  /** Backends being opened: each is given, or refused, when the test says so. */
  readonly openings: { give(): void; refuse(): void }[] = [];
  private readonly volumes = new SessionVolumes({
    list: () => Promise.reject(new Error('Nobody asks')),
    grant: async () => ({ granted: true, volume: VOLUME, readonly: false, identity: 'identity', life: 'life' }),
    release: async (id) => void this.said.push(`release ${id}`),
    openBackend: () =>
      new Promise<Backend>((resolve, reject) =>
        this.openings.push({ give: () => resolve(this.storage.backend), refuse: () => reject(new Error('No such file')) }),
      ),
  });
  handle = 0;

  ask(op: number, handle: number, body: Buffer): Promise<void> {
    const header = { op, flags: 0, handle, slot: 0, seq: 1, lba: 0, count: 0, length: body.length, aux: 0 } satisfies Header;
    this.volumes.answer(
      header,
      body,
      () => false,
      (status, [first]) => {
        this.said.push(`${frameName(op | ANSWER)} ${status}`);
        if (op === OP.OPEN && status === STATUS.OK && first !== undefined) this.handle = decodeOpenAnswer(first, 0, first.length).handle;
      },
    );
    return this.turn();
  }

  async open(): Promise<void> {
    await this.ask(OP.OPEN, 0, encodeOpenRequest({ name: 'oracle', universe: 0, readonly: false }));
  }

  async close(handle: number): Promise<void> {
    await this.ask(OP.CLOSE, handle, NOTHING);
    this.storage.finish();
    await this.turn();
  }

  async turn(): Promise<void> {
    for (let times = 0; times < 20; times++) await Promise.resolve();
  }
}

async function sceneWithOneOpen(): Promise<Scene> {
  const scene = new Scene();
  await scene.open();
  scene.openings.shift()!.give();
  await scene.turn();
  return scene;
}

test('the last CLOSE of a volume releases its hold', async () => {
  const scene = await sceneWithOneOpen();
  await scene.close(scene.handle);
  expect(scene.said).toEqual(['OPEN answer 0', 'release id', 'CLOSE answer 0']);
});

// Once a volume that was attached again at once after a detach by force lost its hold, and in the next session its I/O.
test('a CLOSE leaves the hold to an OPEN of the same volume that is under way', async () => {
  const scene = await sceneWithOneOpen();
  await scene.open();
  await scene.close(scene.handle);
  expect(scene.said).toEqual(['OPEN answer 0', 'CLOSE answer 0']);
  scene.openings.shift()!.give();
  await scene.turn();
  expect(scene.said).toEqual(['OPEN answer 0', 'CLOSE answer 0', 'OPEN answer 0']);
  await scene.close(scene.handle);
  expect(scene.said.slice(3)).toEqual(['release id', 'CLOSE answer 0']);
});

test('when that OPEN comes to nothing, the hold is released', async () => {
  const scene = await sceneWithOneOpen();
  await scene.open();
  await scene.close(scene.handle);
  scene.openings.shift()!.refuse();
  await scene.turn();
  expect(scene.said.slice(2)).toEqual(['release id', `OPEN answer ${STATUS.IO_ERROR}`]);
});
