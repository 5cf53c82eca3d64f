// Tests holds and handles of one session when OPEN and CLOSE of a volume overlap: a hold stays as long as an OPEN may still return a
// handle. holds.ts decides which client holds which volume. session-copies.test.ts tests copies of requests. Rules: H1, C2.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { HANDLES_PER_SESSION_MAX } from '@rsio/protocol/link/limits';
import { describe, expect, test } from 'vitest';
import { ANSWER, frameName, OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { IdentifyAnswer, IOCTL, OpenAnswer, OpenRequest } from '@rsio/protocol/wire/messages';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import type { Backend } from '../storage/io/backend.ts';
import { validate } from './request.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { SessionVolumes } from './session-volumes.ts';
import { HeldStorage } from '../testing/raw-client.ts';

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
  takeOver: null,
  takeOverForce: false,
};

class Scene {
  readonly said: string[] = [];
  /** Epoch of the next grant. */
  epoch = 1;
  life = 'life';
  isSettling = true;
  /** Answers the looks at the owner of the shared pool. */
  looked = (): Promise<boolean> => Promise.resolve(true);
  readonly storage = new HeldStorage();
  /** Backends that are being opened. The test lets each opening succeed or fail. */
  readonly openings: { give(): void; refuse(): void }[] = [];
  readonly volumes = new SessionVolumes({
    list: () => Promise.reject(new Error('No caller expected')),
    grant: async () => ({
      granted: true,
      volume: VOLUME,
      readonly: false,
      identity: 'identity',
      incarnation: this.life,
      epoch: this.epoch,
    }),
    release: async (id, epoch) => {
      this.said.push(`release ${id}`);
      this.releasedEpoch = epoch;
    },
    look: () => this.looked(),
    lookAge: () => Promise.resolve(0),
    lost: (id) => this.said.push(`lost ${id}`),
    cut: (id) => this.said.push(`cut ${id}`),
    settle: async (id, epoch, life) => {
      this.said.push(`settle ${id} ${epoch} ${life}`);
      return { isSettled: this.isSettling };
    },
    clock: new FakeClock(),
    waitsForSpace: () => undefined,
    throttled: () => undefined,
    held: () => undefined,
    askRecord: () => Promise.resolve(null),
    askNodes: () => Promise.resolve(null),
    askSnapshot: () => Promise.resolve(null),
    clone: () => Promise.resolve(null),
    openBackend: () =>
      new Promise<Backend>((resolve, reject) =>
        this.openings.push({ give: () => resolve({ ...this.storage.backend }), refuse: () => reject(new Error('No such file')) }),
      ),
  });
  handle = 0;
  releasedEpoch = 0;
  sizeBytes = 0;

  grow(sizeBytes: number, id = 'id'): void {
    this.volumes.grow([{ id, sizeBytes }]);
  }

  /** Returns true if the last handle can read the last sector of a volume of this size. */
  canUse(sizeBytes: number): boolean {
    return validate(this.volumes.get(this.handle), OP.READ, 0, sizeBytes / SECTOR_BYTES - 1, 1) === STATUS.OK;
  }

  ask(op: number, handle: number, body: Buffer, aux: number = IOCTL.IDENTIFY): Promise<void> {
    const header = {
      op,
      flags: 0,
      handle,
      slot: 0,
      seq: 1,
      lba: 0,
      count: 0,
      length: body.length,
      aux: op === OP.IOCTL ? aux : 0,
    } satisfies Header;
    this.volumes.answer(
      header,
      body,
      () => false,
      (status, [first]) => {
        this.said.push(`${frameName(op | ANSWER)} ${status}`);
        if (op === OP.OPEN && status === STATUS.OK && first !== undefined)
          ({ handle: this.handle, sizeBytes: this.sizeBytes } = OpenAnswer.decode(first, 0, first.length));
        if (op === OP.IOCTL && aux === IOCTL.IDENTIFY && first !== undefined)
          this.sizeBytes = IdentifyAnswer.decode(first, 0, first.length).sizeBytes;
      },
    );
    return this.turn();
  }

  async revoke(epoch: number): Promise<void> {
    void this.volumes.revoke('id', epoch).then((isFlushed) => this.said.push(`revoked ${isFlushed}`));
    await this.turn();
  }

  async open(resume: string | null = null): Promise<void> {
    await this.ask(OP.OPEN, 0, OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false, resume }));
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

// Regression: if a volume was attached again right after a forced detach, the client lost its hold, and I/O of the volume failed in the
// next session.
test('a CLOSE leaves the hold to a running OPEN of the same volume', async () => {
  const scene = await sceneWithOneOpen();
  scene.life = 'another';
  await scene.open();
  await scene.close(scene.handle);
  expect(scene.said).toEqual(['OPEN answer 0', 'CLOSE answer 0']);
  scene.openings.shift()!.give();
  await scene.turn();
  expect(scene.said).toEqual(['OPEN answer 0', 'CLOSE answer 0', 'OPEN answer 0']);
  await scene.close(scene.handle);
  expect(scene.said.slice(3)).toEqual(['release id', 'CLOSE answer 0']);
});

test('when that OPEN fails, the hold is released', async () => {
  const scene = await sceneWithOneOpen();
  scene.life = 'another';
  await scene.open();
  await scene.close(scene.handle);
  scene.openings.shift()!.refuse();
  await scene.turn();
  expect(scene.said.slice(2)).toEqual(['release id', `OPEN answer ${STATUS.IO_ERROR}`]);
});

// Regression: a sync failed while a volume was attached again after a forced detach; the hold was lost, and I/O failed with TAKEN.
test('a CLOSE leaves the hold to a revoked handle because its client will open the volume again', async () => {
  const scene = await sceneWithOneOpen();
  const first = scene.handle;
  await scene.open();
  await scene.ask(OP.CLOSE, first, NOTHING);
  await scene.revoke(1);
  scene.storage.waiting.pop()!(STATUS.OK);
  await scene.turn();
  scene.storage.finish();
  await scene.turn();
  expect(scene.said.slice(2)).toEqual(['CLOSE answer 0', 'revoked true']);
  await scene.open('identity');
  scene.openings.shift()!.give();
  await scene.turn();
  await scene.close(scene.handle);
  expect(scene.said.slice(-2)).toEqual(['release id', 'CLOSE answer 0']);
});

const MIB = 1 << 20;

test('after a volume has grown, an open handle works up to the new end at once, and IDENTIFY reports it', async () => {
  const scene = await sceneWithOneOpen();
  expect([scene.canUse(MIB), scene.canUse(2 * MIB)]).toEqual([true, false]);
  scene.grow(4 * MIB, 'another');
  expect(scene.canUse(2 * MIB)).toBe(false);
  scene.grow(2 * MIB);
  expect([scene.canUse(2 * MIB), scene.canUse(4 * MIB)]).toEqual([true, false]);
  scene.grow(MIB);
  expect(scene.canUse(2 * MIB), 'never smaller').toBe(true);
  await scene.ask(OP.IOCTL, scene.handle, NOTHING);
  expect(scene.sizeBytes).toBe(2 * MIB);
});

test('a volume that grows during an OPEN, granted with its old size, is opened with its new one', async () => {
  const scene = new Scene();
  await scene.open();
  scene.grow(2 * MIB);
  scene.openings.shift()!.give();
  await scene.turn();
  expect(scene.sizeBytes).toBe(2 * MIB);
  expect(scene.canUse(2 * MIB)).toBe(true);
});

describe('an OPEN that runs while its volume is revoked', () => {
  const STALE = `OPEN answer ${STATUS.STALE}`;

  test('fails if it was granted before: the hold is not released, and its backend is closed', async () => {
    const scene = new Scene();
    await scene.open();
    await scene.revoke(1);
    scene.openings.shift()!.give();
    await scene.turn();
    expect(scene.said).toEqual(['revoked true', STALE]);
    expect([scene.storage.isClosed, scene.handle]).toEqual([true, 0]);
    await scene.open();
    scene.openings.shift()!.give();
    await scene.turn();
    expect(scene.said.at(-1), 'a later OPEN of the same epoch is another one').toBe('OPEN answer 0');
  });

  test('returns a handle if it is granted later', async () => {
    const scene = new Scene();
    scene.epoch = 3;
    await scene.open();
    await scene.revoke(1);
    scene.openings.shift()!.give();
    await scene.turn();
    expect(scene.said).toEqual(['revoked true', 'OPEN answer 0']);
    expect(scene.canUse(MIB)).toBe(true);
  });
});

test('an OPEN that resumes and finds no storage leaves the hold to the next one, which may come from another data process', async () => {
  const scene = new Scene();
  await scene.open('id.1');
  scene.openings.shift()!.refuse();
  await scene.turn();
  expect(scene.said).toEqual(['release id', `OPEN answer ${STATUS.IO_ERROR}`]);
  expect(scene.releasedEpoch, 'no hold ends').toBe(-1);
});

test('CLOSE of a volume with a newer grant releases no more than the closed grant', async () => {
  const scene = await sceneWithOneOpen();
  scene.epoch = 4;
  await scene.close(scene.handle);
  expect(scene.releasedEpoch).toBe(1);
});

// Found by the simulator: the CLOSE succeeded, but the client's hold stayed.
test('CLOSE while an older handle of the volume is still being revoked releases the hold when that has ended', async () => {
  const scene = await sceneWithOneOpen();
  const older = scene.handle;
  void scene.volumes.revokeHandle(older);
  await scene.open();
  scene.openings.shift()?.give();
  await scene.turn();
  scene.said.length = 0;
  const closed = scene.close(scene.handle);
  scene.storage.waiting.pop()!(STATUS.OK);
  await scene.turn();
  expect(scene.said, 'the older handle may still write').toEqual([]);
  scene.storage.finish();
  await closed;
  await scene.turn();
  expect(scene.said).toEqual(['release id', 'CLOSE answer 0']);
});

test('SETTLED is reported with the grant of the handle, and is STALE when another client has the hold', async () => {
  const scene = await sceneWithOneOpen();
  await scene.ask(OP.IOCTL, scene.handle, NOTHING, IOCTL.SETTLED);
  scene.isSettling = false;
  await scene.ask(OP.IOCTL, scene.handle, NOTHING, IOCTL.SETTLED);
  const settle = 'settle id 1 life';
  expect(scene.said.slice(1)).toEqual([settle, 'IOCTL answer 0', settle, `IOCTL answer ${STATUS.STALE}`]);
});

test('one handle can be revoked alone: its flush is reported, and the others go on', async () => {
  const scene = await sceneWithOneOpen();
  const first = scene.handle;
  await scene.open();
  const status = scene.volumes.revokeHandle(first);
  scene.storage.finish(STATUS.IO_ERROR);
  expect(await status).toBe(STATUS.IO_ERROR);
  expect(scene.volumes.get(first)).toBeUndefined();
  expect(scene.canUse(MIB), 'the second handle').toBe(true);
  expect(await scene.volumes.revokeHandle(first), 'once more').toBe(STATUS.OK);
});

test("a handle that is revoked while another one is closed at the session's end is closed once", async () => {
  const scene = await sceneWithOneOpen();
  await scene.open();
  const ended = scene.volumes.closeAll();
  const revoked = scene.volumes.revokeHandle(scene.handle);
  scene.storage.waiting.pop()!(STATUS.OK);
  await revoked;
  scene.storage.finish();
  await scene.turn();
  expect(scene.storage.begun).toEqual(['FLUSH', 'FLUSH']);
  await ended;
});

describe('handles of one volume share one backend', () => {
  // Regression: 1,024 handles of one client used up the descriptors of a process that other clients shared.
  test('however many they are; it is closed with the last of them', async () => {
    const scene = await sceneWithOneOpen();
    for (let handles = 1; handles < HANDLES_PER_SESSION_MAX; handles++) await scene.open();
    expect([scene.handle, scene.openings.length]).toEqual([HANDLES_PER_SESSION_MAX, 0]);
    await scene.open();
    expect(scene.said.at(-1)).toBe(`OPEN answer ${STATUS.TOO_MANY_HANDLES}`);
    for (let handle = 1; handle < HANDLES_PER_SESSION_MAX; handle++) await scene.close(handle);
    expect(scene.storage.isClosed).toBe(false);
    await scene.close(HANDLES_PER_SESSION_MAX);
    expect([scene.storage.isClosed, scene.said.at(-2)]).toEqual([true, 'release id']);
  });

  test('also two that are opened at once, and two that cannot be opened', async () => {
    const scene = new Scene();
    const both = [scene.open(), scene.open()];
    await Promise.all(both);
    expect(scene.openings).toHaveLength(1);
    scene.openings.shift()!.refuse();
    await scene.turn();
    const refused = `OPEN answer ${STATUS.IO_ERROR}`;
    expect(scene.said.filter((one) => one !== 'release id')).toEqual([refused, refused]);
    await scene.open();
    expect(scene.openings, 'tried again').toHaveLength(1);
  });

  test('but not across holds or incarnations, nor one that is being closed', async () => {
    const scene = await sceneWithOneOpen();
    const first = scene.handle;
    for (const change of [{ life: 'next' }, { epoch: 2 }]) {
      Object.assign(scene, change);
      await scene.open();
      scene.openings.shift()!.give();
      await scene.turn();
    }
    Object.assign(scene, { life: 'life', epoch: 1 });
    await scene.close(first);
    await scene.open();
    expect(scene.openings).toHaveLength(1);
  });
});
