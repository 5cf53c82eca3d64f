// Tests take-overs in the listener (H2): the order of the steps, a restart before each step, and several take-overs at once. The test
// simulates the processes and the storage. hold-rules.test.ts tests the decisions, take-over-random.test.ts tests random sequences, and
// test/integration/take-over.test.ts has real processes. Rules: H3, H4.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOLD_CHANGES_WAITING_MAX } from '../limits.ts';
import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { RsError } from '@rsio/base/lib/errors';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import type { ClientIdentity, Grant } from './grants.ts';
import { type GrantPorts, Holds } from './holds.ts';
import { BIG2, MARS, OPEN, OVER, QUIET, turns, VENUS, VOLUME } from '../../testing/contenders.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { NO_LEDGER } from '../../testing/no-ledgers.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-take-over-'));
});

afterEach(() => removeFolder(folder));

const file = (): string => join(folder, 'holders.json');

/** Returns the client that would hold the volume if the server restarted now. */
async function afterRestart(): Promise<string> {
  const fresh = new Holds(file(), () => 0, QUIET, NO_LEDGER);
  await fresh.load();
  return fresh
    .holdersOf('id')
    .map(({ node }) => node)
    .join();
}

/** A listener whose steps a test can delay or make fail. */
class Scene {
  readonly lines: string[] = [];
  readonly holders: Holds;
  /** The steps that were executed. The text of a step also names the client that would hold the volume after a restart at this step. */
  readonly steps: string[] = [];
  life = 'life';
  isWanted = true;
  volume: ServedVolume | null = VOLUME;
  /** For how long an earlier owner of the pool may answer; null if the pool is lost. */
  disputedMs: number | null = 0;
  /** Called at each step, which waits for the returned promise. */
  at: (step: string) => unknown = () => undefined;
  isFlushed = true;

  constructor() {
    const say = (line: string): void => void this.lines.push(line);
    // The ledger of a pool has the holds of the pool's volumes, but these tests read the holds in the state directory.
    const ledger = { ...NO_LEDGER, save: () => Promise.resolve() };
    this.holders = new Holds(file(), () => 1_284_476_552_000, { info: say, warn: say, error: say }, ledger);
  }

  open(client: ClientIdentity, request: Partial<OpenRequest> = {}): Promise<Grant> {
    const ports: GrantPorts = {
      find: () => this.volume,
      role: () => null,
      incarnation: () => this.life,
      revokeHold: async (_volume, hold, epoch) => {
        await this.step(`end ${hold.node} up to ${epoch}`);
        return this.isFlushed;
      },
      sync: () => this.step('sync'),
      incarnationEnded: async () => {
        this.life += '+';
        await this.step('new life');
      },
      isWanted: () => this.isWanted,
      promiseOf: () => null,
      tookOver: (_volume, by, losers) => void this.steps.push(`changed: ${losers.join()} -> ${by}`),
      disputedMs: () => this.disputedMs,
      pause: async (ms) => {
        this.disputedMs = 0;
        await this.step(`pause ${ms}`);
      },
    };
    return this.holders.grant('id', client, { ...OPEN, ...request }, ports);
  }

  async reached(step: string): Promise<void> {
    while (!this.steps.some((one) => one.startsWith(step))) await turns();
    await turns();
  }

  private async step(name: string): Promise<void> {
    this.steps.push(`${name} (${await afterRestart()})`);
    await this.at(name.split(' ')[0]!);
  }
}

const never = new Promise<void>(() => undefined);

async function held(): Promise<{ scene: Scene; identity: string }> {
  const scene = new Scene();
  const grant = await scene.open(BIG2);
  if (!grant.granted) throw new Error(grant.sentence);
  return { scene, identity: grant.identity };
}

test('a take-over ends the holder, syncs, records the new one, notifies, and grants; the loser is notified', async () => {
  const { scene, identity } = await held();
  const grant = await scene.open(MARS, OVER);
  expect(scene.steps).toEqual(['end big-2 up to 1 (big-2)', 'sync (big-2)', 'changed: big-2 -> mars']);
  expect(await afterRestart()).toBe('mars');
  expect(grant).toMatchObject({ granted: true, identity: 'id.2', epoch: 2 });
  expect(scene.lines).toEqual([
    'Volume oracle is taken over by mars at 127.0.0.3 from big-2: it is closed there first',
    'mars (instance 3) at 127.0.0.3 has taken volume oracle over from big-2, epoch 2',
  ]);
  const told = await scene.open(BIG2, { resume: identity });
  expect(told).toMatchObject({
    granted: false,
    status: STATUS.TAKEN,
    sentence: expect.stringContaining('taken over by mars at 127.0.0.3') as string,
  });
  await scene.open(BIG2, { resume: identity });
  expect(scene.lines.slice(2), 'a refusal is logged once').toHaveLength(1);
});

describe('when the take-over is stopped', () => {
  test.each(['end', 'sync'])(
    'in the step after %s, the old holder is still the holder, in the file too, and nothing is granted',
    async (stop) => {
      const { scene } = await held();
      scene.at = (step) => (step === stop ? never : undefined);
      let grant: Grant | null = null;
      void scene.open(MARS, OVER).then((given) => (grant = given));
      await scene.reached(stop);
      await turns();
      expect([await afterRestart(), grant]).toEqual(['big-2', null]);
      expect(scene.steps.at(-1)).toBe(stop === 'end' ? 'end big-2 up to 1 (big-2)' : 'sync (big-2)');
    },
  );

  test('before the new holder is recorded, nothing is granted, and the old one goes on', async () => {
    const { scene, identity } = await held();
    scene.at = (step) => {
      if (step !== 'sync') return;
      rmSync(file());
      mkdirSync(file());
    };
    await expect(scene.open(MARS, OVER)).rejects.toMatchObject({ code: 'E_SYSTEM' });
    rmSync(file(), { recursive: true });
    scene.at = () => undefined;
    expect(scene.holders.holdersOf('id')).toMatchObject([{ node: 'big-2' }]);
    expect(scene.steps).not.toContain('changed: big-2 -> mars');
    expect(await scene.open(BIG2, { resume: identity })).toMatchObject({ granted: true, identity });
  });

  test('before the grant is answered, the new holder is in the file', async () => {
    const { scene } = await held();
    const granting = scene.open(MARS, OVER);
    let isAnswered = false;
    void granting.then(() => (isAnswered = true));
    while (!scene.steps.some((step) => step.startsWith('changed'))) await new Promise((resolve) => setImmediate(resolve));
    expect(isAnswered ? 'mars' : await afterRestart()).toBe('mars');
    await granting;
  });
});

describe('a take-over fails and the holder goes on', () => {
  const stays = async (scene: Scene, identity: string): Promise<void> => {
    expect([await afterRestart(), scene.holders.holdersOf('id').map(({ node }) => node)]).toEqual(['big-2', ['big-2']]);
    expect(await scene.open(BIG2, { resume: identity })).toMatchObject({ granted: true, identity });
  };

  test('when the storage cannot be synced: the storage starts a new incarnation, so that the next take-over must be forced', async () => {
    const { scene, identity } = await held();
    scene.at = (step) => {
      if (step === 'sync') throw new Error('EIO');
    };
    expect(await scene.open(MARS, OVER)).toMatchObject({
      granted: false,
      status: STATUS.IO_ERROR,
      sentence: 'Volume oracle was not taken from big-2, which may have lost acknowledged writes. EIO',
    });
    expect(scene.steps.at(-1)).toBe('new life (big-2)');
    await stays(scene, identity);
    scene.at = () => undefined;
    expect(await scene.open(MARS, OVER)).toMatchObject({ status: STATUS.HELD, sentence: expect.stringContaining('--force') as string });
    expect(await scene.open(MARS, { take: TAKE.FORCE })).toMatchObject({ granted: true, incarnation: 'life+' });
  });

  test('when the storage does not answer a sync in time: nothing is lost yet, so the same take-over can be tried again', async () => {
    const { scene, identity } = await held();
    scene.at = (step) => {
      if (step === 'sync') throw new RsError('E_TIMEOUT', 'Its storage does not answer: it has not answered a sync for 15 s');
    };
    expect(await scene.open(MARS, OVER)).toMatchObject({
      granted: false,
      status: STATUS.IO_ERROR,
      sentence:
        'Volume oracle was not taken from big-2. Its storage does not answer: it has not answered a sync for 15 s: try again when the storage answers',
    });
    expect(scene.steps.at(-1)).toBe('sync (big-2)');
    await stays(scene, identity);
    scene.at = () => undefined;
    expect(await scene.open(MARS, OVER)).toMatchObject({ granted: true });
  });

  test('when a flush failed while it was closed', async () => {
    const { scene, identity } = await held();
    scene.isFlushed = false;
    expect(await scene.open(MARS, OVER)).toMatchObject({ granted: false, status: STATUS.IO_ERROR });
    await stays(scene, identity);
  });

  test('when the requesting client has disconnected', async () => {
    const { scene, identity } = await held();
    scene.at = () => void (scene.isWanted = false);
    // The status is not HELD, because a client that attaches its volumes again after a restart would give up the volume after HELD.
    expect(await scene.open(MARS, OVER)).toMatchObject({ granted: false, status: STATUS.SHUTTING_DOWN, holders: [] });
    scene.at = () => undefined;
    scene.isWanted = true;
    await stays(scene, identity);
  });

  test('when the requesting client has lost its right to the volume', async () => {
    const { scene, identity } = await held();
    scene.at = () => {
      scene.volume = null;
    };
    expect(await scene.open(MARS, OVER)).toMatchObject({ granted: false, status: STATUS.UNKNOWN_VOLUME });
    scene.volume = VOLUME;
    await stays(scene, identity);
  });
});

describe('while a volume is being taken over', () => {
  test('other clients are told at once, also the one that has just lost it', async () => {
    const { scene, identity } = await held();
    let goOn = (): void => undefined;
    scene.at = () => new Promise<void>((resolve) => (goOn = resolve));
    const granting = scene.open(MARS, OVER);
    await scene.reached('end');
    const told = {
      granted: false,
      status: STATUS.HELD,
      sentence: 'Volume oracle is being taken over by mars at 127.0.0.3: try again',
      holders: [{ node: 'big-2' }],
    };
    expect(await scene.open(VENUS)).toMatchObject(told);
    expect(await scene.open(BIG2, { resume: identity })).toMatchObject(told);
    scene.at = () => undefined;
    goOn();
    expect(await granting).toMatchObject({ granted: true });
    expect(await scene.open(BIG2, { resume: identity })).toMatchObject({ status: STATUS.TAKEN });
  });

  test('the loser of an earlier take-over is notified at once, and does not wait for this one', async () => {
    const { scene, identity } = await held();
    await scene.open(MARS, OVER);
    scene.steps.length = 0;
    scene.at = () => never;
    void scene.open(VENUS, OVER);
    await scene.reached('end mars');
    expect(await scene.open(BIG2, { resume: identity })).toMatchObject({
      granted: false,
      status: STATUS.TAKEN,
      sentence: expect.stringContaining('was taken over by mars at 127.0.0.3') as string,
    });
  });

  test('another take-over waits for it, and gets the volume in the end; each ends the holder before it', async () => {
    const { scene } = await held();
    const both = [scene.open(MARS, OVER), scene.open(VENUS, OVER), scene.open(BIG2, OVER)];
    expect((await Promise.all(both)).map((grant) => grant.granted && grant.identity)).toEqual(['id.2', 'id.3', 'id.4']);
    expect(scene.steps.filter((step) => step.startsWith('end'))).toEqual([
      'end big-2 up to 1 (big-2)',
      'end mars up to 2 (mars)',
      'end venus up to 3 (venus)',
    ]);
    expect(await afterRestart()).toBe('big-2');
  });

  test('an earlier CLOSE does not release a later hold', async () => {
    const { scene } = await held();
    const taking = [
      scene.open(MARS, OVER),
      scene.holders.release('id', BIG2, 1),
      scene.open(BIG2, OVER),
      scene.holders.release('id', BIG2, 1),
    ];
    await Promise.all(taking);
    expect(await afterRestart()).toBe('big-2');
    expect(await scene.holders.settle('id', BIG2, 1, 'life')).toBe(false);
    expect(await scene.holders.settle('id', BIG2, 3, 'another life')).toBe(true);
    scene.life = 'another life';
    expect(await scene.open(MARS, OVER)).toMatchObject({ granted: true });
  });

  test('the number of waiting OPENs is bounded', async () => {
    const { scene } = await held();
    scene.at = () => never;
    const waiting = Array.from({ length: HOLD_CHANGES_WAITING_MAX }, () => scene.open(MARS, OVER));
    expect(await scene.open(VENUS, OVER)).toMatchObject({
      granted: false,
      status: STATUS.HELD,
      sentence: expect.stringContaining('are waiting: try again') as string,
    });
    expect(waiting).toHaveLength(HOLD_CHANGES_WAITING_MAX);
  });
});

test("a crash of the loser's process starts a new incarnation, and the new holder settles in that one", async () => {
  const { scene } = await held();
  scene.at = (step) => {
    if (step === 'end') scene.life = 'later';
  };
  expect(await scene.open(MARS, OVER)).toMatchObject({ granted: true, incarnation: 'later' });
  expect(await scene.open(VENUS, OVER)).toMatchObject({ granted: true });
});

describe('while an earlier owner of the shared pool may still answer the holder', () => {
  const ofPool = (generation: number): ServedVolume => ({
    ...VOLUME,
    pool: { ids: ['pool'], isThick: false, ownership: { generation, life: 5 } },
  });
  const disputed = async (): Promise<{ scene: Scene; identity: string }> => {
    const { scene, identity } = await held();
    Object.assign(scene, { volume: ofPool(7), disputedMs: 5_200 });
    return { scene, identity };
  };

  test('a take-over waits, without keeping other changes from the volume, and says for how long', async () => {
    const { scene, identity } = await disputed();
    let goOn = (): void => undefined;
    scene.at = (step) => (step === 'pause' ? new Promise<void>((resolve) => (goOn = resolve)) : undefined);
    const granting = scene.open(MARS, OVER);
    await scene.reached('pause');
    expect(scene.steps).toEqual(['pause 5200 (big-2)']);
    expect(scene.lines).toEqual([
      'Volume oracle is taken over by mars at 127.0.0.3 from big-2 in 6s: until then, the earlier owner of its pool may still answer requests',
    ]);
    expect(await scene.open(BIG2, { resume: identity })).toMatchObject({ granted: true, identity });
    goOn();
    expect(await granting).toMatchObject({ granted: true });
    expect(scene.steps.slice(1)).toEqual(['end big-2 up to 1 (big-2)', 'sync (big-2)', 'changed: big-2 -> mars']);
  });

  test('it is decided after the wait whether the holder has settled', async () => {
    const { scene } = await disputed();
    scene.at = (step) => {
      if (step === 'pause') scene.life = 'later';
    };
    expect(await scene.open(MARS, OVER)).toMatchObject({ status: STATUS.HELD, sentence: expect.stringContaining('--force') as string });
    expect(await afterRestart()).toBe('big-2');
  });

  test.each(['pause', 'end'])('a take-over ends no hold if the pool was lost and taken again meanwhile (%s)', async (when) => {
    const { scene } = await disputed();
    scene.at = (step) => {
      if (step === when) scene.volume = ofPool(9);
    };
    expect(await scene.open(MARS, OVER)).toMatchObject({ granted: false, status: STATUS.MOVED, holders: [] });
    expect([await afterRestart(), scene.steps.some((step) => step.startsWith('changed'))]).toEqual(['big-2', false]);
  });

  test('nor if the pool is lost', async () => {
    const { scene } = await disputed();
    scene.disputedMs = null;
    expect(await scene.open(MARS, OVER)).toMatchObject({ granted: false, status: STATUS.MOVED });
    expect(scene.steps).toEqual([]);
  });

  test('an instance on another machine waits, and a later instance on the same machine does not, and neither do readers', async () => {
    const { scene } = await disputed();
    expect(await scene.open({ ...BIG2, instance: 4 })).toMatchObject({ granted: true });
    expect(scene.steps).toEqual(['sync (big-2)']);
    expect(await scene.open({ ...BIG2, machine: 'elsewhere', instance: 1 })).toMatchObject({ granted: true });
    expect(scene.steps.slice(1)).toEqual(['pause 5200 (big-2)', 'sync (big-2)']);
    await scene.holders.release('id', { ...BIG2, machine: 'elsewhere', instance: 1 }, 9);
    await scene.open(BIG2, { readonly: true });
    Object.assign(scene, { disputedMs: 5_200, steps: [] });
    expect(await scene.open(MARS, OVER)).toMatchObject({ granted: true });
    expect(scene.steps.some((step) => step.startsWith('pause'))).toBe(false);
  });
});

describe('another instance of a node', () => {
  test('gets the volume after a sync, under another identity', async () => {
    const { scene, identity } = await held();
    expect(await scene.open({ ...BIG2, instance: 4 })).toMatchObject({ granted: true, identity: 'id.2' });
    expect(scene.steps).toEqual(['sync (big-2)']);
    expect(scene.lines).toEqual(['big-2 (instance 4) at 127.0.0.2 has volume oracle in place of its instance 3']);
    expect(identity).toBe('id.1');
  });

  test('does not get it when the sync fails, and is notified once', async () => {
    const { scene } = await held();
    scene.at = (step) => {
      if (step === 'sync') throw new Error('EIO');
    };
    const next = { ...BIG2, instance: 4 };
    expect(await scene.open(next)).toMatchObject({
      granted: false,
      status: STATUS.IO_ERROR,
      sentence: expect.stringContaining('an older instance of big-2') as string,
    });
    scene.at = () => undefined;
    expect(await scene.open(next)).toMatchObject({ granted: true, incarnation: 'life+' });
  });

  test('on another machine leaves a mark, by which the older one is refused for ever', async () => {
    const { scene } = await held();
    const elsewhere = { ...BIG2, machine: 'elsewhere', instance: 1 };
    await scene.open(elsewhere);
    expect(scene.lines.at(-1)).toContain('on another machine at 127.0.0.2');
    const fresh = new Holds(file(), () => 0, QUIET, NO_LEDGER);
    await fresh.load();
    for (const holders of [scene.holders, fresh]) {
      expect([holders.isCurrent(BIG2), holders.isCurrent({ ...BIG2, instance: 4 }), holders.isCurrent(elsewhere)]).toEqual([
        false,
        true,
        true,
      ]);
    }
  });

  test('that replaces a silent session leaves that mark too', async () => {
    const { scene } = await held();
    const elsewhere = { ...BIG2, machine: 'elsewhere', instance: 1 };
    await scene.holders.noteInstance(BIG2, null);
    await scene.holders.noteInstance(elsewhere, BIG2);
    expect([scene.holders.isCurrent(BIG2), scene.holders.isCurrent({ ...BIG2, instance: 4 })]).toEqual([false, true]);
  });

  test('keeps a later instance of the old machine out, even if that machine has an old hold', async () => {
    const { scene } = await held();
    const elsewhere = { ...BIG2, machine: 'elsewhere', instance: 1 };
    const later = { ...BIG2, instance: BIG2.instance + 5 };
    await scene.holders.noteInstance(later, null);
    await scene.holders.noteInstance(elsewhere, later);
    await scene.open(elsewhere);
    expect(scene.holders.isCurrent(later)).toBe(false);
  });
});
