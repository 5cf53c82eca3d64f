// Which volumes come back after a restart of the daemon, over a real file and a fake clock; servers and attaching are fakes.
// Real daemons that are killed under I/O are tested in test/integration/restore.test.ts.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AttachOutcome } from '@rsio/common/control/methods';
import { RsError } from '@rsio/common/lib/errors';
import { quietLog } from '@rsio/common/log/log';
import { RESTORE_POLL_MS, RESTORE_RETRY_MS } from './limits.ts';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AttachedList } from './attached-list.ts';
import { labelOf } from './offers.ts';

interface TestVolume {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
  readonly wantsReadonly: boolean;
}

function volume(name: string, id = `id-${name}`, namespace = 'osl'): TestVolume {
  return { namespace, name, universe: 0, id, wantsReadonly: false };
}

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-al-'));
  file = join(folder, 'attached.json');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** One life of a daemon; servers 1 (big-1) and 2 (big-2) offer what the test says. */
class Life {
  readonly clock = new FakeClock();
  readonly list: TestVolume[] = [];
  readonly detached = new Set<string>();
  readonly asked: string[] = [];
  readonly said: string[] = [];
  readonly warned: string[] = [];
  readonly attached: AttachedList<TestVolume>;
  offered: { readonly volume: TestVolume; readonly serverid: number; readonly isConnected: boolean }[] = [];
  /** What attaching of a label fails with. */
  readonly failures = new Map<string, string>();
  /** Volumes with devices of the process before that somebody uses. */
  readonly usedDevices = new Set<string>();
  readonly letGo: string[] = [];
  /** Attaching waits for this. */
  held: Promise<void> = Promise.resolve();

  constructor(boot = 'boot-1') {
    this.attached = new AttachedList<TestVolume>({
      clock: this.clock,
      log: quietLog,
      file,
      boot,
      attachments: this,
      serverOf: ({ id }) => {
        const serverid = this.offered.find((one) => one.volume.id === id)?.serverid ?? 1;
        return { serverid, name: `big-${serverid}` };
      },
      release: ({ name }, why, force) => {
        if (this.usedDevices.has(name) && !force) return Promise.reject(new RsError('E_IN_USE', 'It is in use by mount point /mnt'));
        this.letGo.push(`${name}: ${why}`);
        return Promise.resolve();
      },
      note: (_object, _from, to, reason) => this.said.push(`${to}: ${reason}`),
    });
  }

  static async after(last: Life | null, boot?: string): Promise<Life> {
    last?.attached.stop();
    const life = new Life(boot);
    await life.attached.load((sentence) => life.warned.push(sentence));
    return life;
  }

  offer(one: TestVolume, serverid = 1, isConnected = true): void {
    this.offered.push({ volume: one, serverid, isConnected });
  }

  get offers() {
    return this.offered.map(({ volume: { namespace, name, universe, id }, serverid, isConnected }) => {
      return { namespace, name, universe, id, isConnected, server: `big-${serverid}`, from: { serverid } };
    });
  }

  get labels(): string[] {
    return this.list.map((one) => `${labelOf(one)} ${one.id}${one.wantsReadonly ? ' readonly' : ''}`);
  }

  async attach(names: readonly string[], readOnly: boolean, server: string | null): Promise<AttachOutcome[]> {
    this.asked.push(...names.map((name) => `${name}${readOnly ? ' readonly' : ''} of ${server ?? 'any'}`));
    await this.held;
    return names.map((name) => {
      const code = this.failures.get(name) ?? null;
      const found = this.offered.find((one) => labelOf(one.volume) === name && (server === null || server === `big-${one.serverid}`));
      const error = code === null ? null : { code, message: `It cannot (${code})` };
      if (error === null && found !== undefined) {
        this.list.push({ ...found.volume, wantsReadonly: readOnly });
        this.detached.delete(`${name} ${found.volume.id}`);
      }
      return { volume: name, done: error === null, already: false, device: null, error };
    });
  }

  async attachAgain(label: string, readOnly: boolean, server: string): Promise<AttachOutcome> {
    const [outcome] = await this.attach([label], readOnly, server);
    return outcome!;
  }

  detach(names: readonly string[]): Promise<AttachOutcome[]> {
    const outcomes = names.map((name): AttachOutcome => {
      const at = this.list.findIndex((one) => labelOf(one) === name || one.name === name);
      const [gone] = at < 0 ? [] : this.list.splice(at, 1);
      if (gone !== undefined) this.detached.add(`${labelOf(gone)} ${gone.id}`);
      return { volume: name, done: true, already: gone === undefined, device: null, error: null };
    });
    return Promise.resolve(outcomes);
  }

  /** Lets the timer fire, and what it begins end. */
  async pass(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await this.attached.restore();
  }
}

/** A life in which these were attached, and that ended without a word. */
async function lifeWith(...volumes: readonly TestVolume[]): Promise<Life> {
  const life = await Life.after(null);
  for (const one of volumes) life.offer(one);
  await life.attached.attach(volumes.map(labelOf), false, null);
  return life;
}

test('what was attached is attached again, with its mode, of the same server', async () => {
  const first = await lifeWith(volume('oracle'));
  first.offer(volume('lab', 'id-lab', 'other'), 2);
  await first.attached.attach(['other:lab@0'], true, 'big-2');
  const next = await Life.after(first);
  next.offer(volume('oracle'), 2);
  next.offer(volume('oracle'), 1);
  next.offer(volume('lab', 'id-lab', 'other'), 2);
  await next.attached.restore();
  expect(next.asked).toEqual(['osl:oracle@0 of big-1', 'other:lab@0 readonly of big-2']);
  expect(next.labels).toEqual(['osl:oracle@0 id-oracle', 'other:lab@0 id-lab readonly']);
  expect(next.attached.awaited).toEqual([]);
  expect(next.clock.timersPending).toBe(0);
});

test('an end in order keeps what was attached, although everything is detached then', async () => {
  const first = await lifeWith(volume('oracle'));
  first.attached.stop();
  await first.detach(['osl:oracle@0']);
  await first.attached.record();
  const next = await Life.after(first);
  expect(next.attached.awaited).toMatchObject([{ name: 'oracle', server: 'big-1', reason: 'Server big-1 is not in reach' }]);
});

test('an end in order while a write is still to begin keeps it, too', async () => {
  const first = await lifeWith(volume('oracle'));
  const writes = [first.attached.record(), first.attached.record()];
  first.attached.stop();
  await first.detach(['osl:oracle@0']);
  await Promise.all(writes);
  expect((await Life.after(first)).attached.awaited).toHaveLength(1);
});

test('detached stays detached, and the configuration is told so', async () => {
  const first = await lifeWith(volume('oracle'), volume('tvol1'));
  await first.attached.detach(['osl:oracle@0'], false);
  const next = await Life.after(first);
  expect(next.attached.awaited.map(({ name }) => name)).toEqual(['tvol1']);
  expect([...next.detached]).toEqual(['osl:oracle@0 id-oracle']);
});

test('another boot: only the configuration counts', async () => {
  const first = await lifeWith(volume('oracle'));
  await first.attached.detach(['nothing'], false);
  const next = await Life.after(first, 'boot-2');
  expect(next.attached.awaited).toEqual([]);
  expect(next.detached.size).toBe(0);
});

describe('what is not there yet is awaited quietly', () => {
  test('a server out of reach, which comes later', async () => {
    const next = await Life.after(await lifeWith(volume('oracle')));
    await next.attached.restore();
    next.offer(volume('oracle'), 1, false);
    await next.pass(RESTORE_POLL_MS);
    expect(next.said).toEqual([]);
    next.offered = [];
    next.offer(volume('oracle'));
    next.clock.advance(RESTORE_POLL_MS);
    await expect.poll(() => next.labels).toEqual(['osl:oracle@0 id-oracle']);
  });

  test('another server in reach that offers the same volume is not used: requests may be under way at the first', async () => {
    const next = await Life.after(await lifeWith(volume('oracle')));
    next.offer(volume('oracle'), 2);
    await next.attached.restore();
    expect(next.asked).toEqual([]);
    expect(next.attached.awaited).toHaveLength(1);
  });

  test('a server that does not offer it now is told of once', async () => {
    const next = await Life.after(await lifeWith(volume('oracle')));
    next.offer(volume('tvol1'));
    await next.pass(RESTORE_POLL_MS);
    await next.pass(RESTORE_POLL_MS);
    expect(next.said).toEqual(['awaited: Server big-1 does not offer it now']);
  });

  test('a failure that may pass is tried again, but not at once', async () => {
    const next = await Life.after(await lifeWith(volume('oracle')));
    next.offer(volume('oracle'));
    next.failures.set('osl:oracle@0', 'E_TIMEOUT');
    await next.pass(0);
    await next.pass(RESTORE_RETRY_MS - 1);
    expect(next.asked).toHaveLength(1);
    expect(next.said).toEqual(['awaited: It cannot (E_TIMEOUT)']);
    next.failures.clear();
    await next.pass(1);
    expect(next.labels).toHaveLength(1);
  });

  test('and survives the next restart', async () => {
    const second = await Life.after(await lifeWith(volume('oracle'), volume('tvol1')));
    second.offer(volume('tvol1'));
    await second.attached.restore();
    const third = await Life.after(second);
    expect(third.attached.awaited.map(({ name }) => name)).toEqual(['tvol1', 'oracle']);
  });
});

test('a volume of the same name with another id is another volume: told with both ids, not attached', async () => {
  const next = await Life.after(await lifeWith(volume('oracle')));
  next.offer(volume('oracle', 'id-new'));
  await next.pass(RESTORE_POLL_MS);
  await next.pass(RESTORE_POLL_MS);
  expect(next.asked).toEqual([]);
  expect(next.said).toEqual([
    'awaited: Server big-1 offers another volume of this name, with id id-new instead of id-oracle: rsconfig -a osl:oracle@0 attaches this one, rsconfig -d osl:oracle@0 detaches the old one',
  ]);
  await next.attached.attach(['osl:oracle@0'], false, null);
  expect(next.attached.awaited).toEqual([]);
});

test.each(['E_HELD', 'E_TAKEN'])('what another client has by now is said and dropped: %s', async (code) => {
  const second = await Life.after(await lifeWith(volume('oracle')));
  second.offer(volume('oracle'));
  second.failures.set('osl:oracle@0', code);
  await second.attached.restore();
  expect(second.said).toEqual([`given-up: It cannot (${code}): attach it with rsconfig -a`]);
  expect((await Life.after(second)).attached.awaited).toEqual([]);
});

describe('detaching what is awaited gives it up', () => {
  test.each(['oracle', 'osl:oracle', 'osl:oracle@0'])('by the name %s', async (name) => {
    const next = await Life.after(await lifeWith(volume('oracle'), volume('tvol1')));
    const outcomes = await next.attached.detach([name], false);
    expect(outcomes).toEqual([{ volume: 'osl:oracle@0', done: true, already: false, device: null, error: null }]);
    next.offer(volume('oracle'));
    await next.attached.restore();
    expect(next.asked).toEqual([]);
    const third = await Life.after(next);
    expect(third.attached.awaited.map((one) => one.name)).toEqual(['tvol1']);
    expect([...third.detached]).toEqual(['osl:oracle@0 id-oracle']);
  });

  test('without names, with all that is attached', async () => {
    const next = await Life.after(await lifeWith(volume('oracle'), volume('tvol1')));
    next.offer(volume('tvol1'));
    await next.attached.restore();
    const outcomes = await next.attached.detach([], false);
    expect(outcomes.map(({ volume: label, done }) => `${label} ${done}`)).toEqual(['osl:tvol1@0 true', 'osl:oracle@0 true']);
    expect((await Life.after(next)).attached.awaited).toEqual([]);
  });

  test('while it is being attached: that ends first', async () => {
    const next = await Life.after(await lifeWith(volume('oracle')));
    next.offer(volume('oracle'));
    let release = (): void => undefined;
    next.held = new Promise((resolve) => {
      release = resolve;
    });
    const restoring = next.attached.restore();
    const detaching = next.attached.detach(['oracle'], false);
    release();
    expect(await detaching).toMatchObject([{ volume: 'osl:oracle@0', done: true, already: false }]);
    await restoring;
    expect(next.labels).toEqual([]);
    expect((await Life.after(next)).attached.awaited).toEqual([]);
  });

  test('a name that means an attached and an awaited one is refused', async () => {
    const next = await Life.after(await lifeWith(volume('oracle')));
    next.offer(volume('oracle', 'id-lab', 'lab'));
    await next.attached.attach(['lab:oracle@0'], false, null);
    expect(await next.attached.detach(['oracle'], false)).toMatchObject([{ done: false, error: { code: 'E_AMBIGUOUS' } }]);
  });

  test('a name of nothing awaited is left to what is attached', async () => {
    const next = await Life.after(await lifeWith(volume('oracle')));
    expect(await next.attached.detach(['nosuch'], false)).toMatchObject([{ volume: 'nosuch', already: true }]);
    expect(next.attached.awaited).toHaveLength(1);
  });
});

describe('a file that cannot be used is told of, set aside, and stops nobody', () => {
  test.each([
    ['half written', '{"version":1,"cont', 'it is not JSON'],
    ['of a newer release', '{"version":2,"content":{}}', 'its version is 2, this program knows 1'],
    [
      'of another form',
      '{"version":1,"content":{"boot":"boot-1","attached":[{"name":"oracle"}],"detached":[]}}',
      'not of the expected form',
    ],
    ['without version', '[]', 'it has no version'],
  ])('%s', async (_, text, why) => {
    writeFileSync(file, text);
    const life = await Life.after(null);
    expect(life.warned).toHaveLength(1);
    expect(life.warned[0]).toContain(why);
    expect(life.warned[0]).toContain(`it is kept as ${file}.unusable`);
    expect(readFileSync(`${file}.unusable`, 'utf8')).toBe(text);
    life.offer(volume('oracle'));
    await life.attached.attach(['osl:oracle@0'], false, null);
    expect((await Life.after(life)).attached.awaited).toHaveLength(1);
  });

  test('one that cannot be read or moved', async () => {
    file = join(folder, 'file', 'attached.json');
    writeFileSync(join(folder, 'file'), '');
    const life = await Life.after(null);
    expect(life.warned[0]).toContain('it could not be set aside (ENOTDIR');
    await life.attached.attach([], false, null);
    expect(readdirSync(folder)).toEqual(['file']);
  });
});

test('devices of the process before are taken away when a volume is given up, but not from who uses them', async () => {
  const first = await lifeWith(volume('oracle'), volume('lab'), volume('mail'));
  const next = await Life.after(first);
  next.usedDevices.add('oracle');
  expect(await next.attached.detach(['oracle'], false)).toMatchObject([{ done: false, error: { code: 'E_IN_USE' } }]);
  expect(
    next.attached.awaited.map(({ name }) => name),
    'still awaited',
  ).toContain('oracle');
  expect(await next.attached.detach(['oracle'], true)).toMatchObject([{ done: true }]);
  next.failures.set('osl:lab@0', 'E_HELD');
  next.offer(volume('lab'));
  next.offer(volume('mail'));
  await next.attached.restore();
  expect(next.letGo).toEqual(['oracle: detached by rsconfig -d', 'lab: It cannot (E_HELD)']);
});
