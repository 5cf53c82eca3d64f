// Tests copies of volumes to files. After a stop of the server at each step, the next start finishes the copy; the file has its name only
// when it is complete, and the copy leaves no other files behind. Other tests check forbidden places, cancelled and failed copies, and NBD
// URIs. A stand-in copies in place of qemu-img; test/integration/volume-copies.test.ts runs qemu-img. Rules: G30.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LOCAL_ASKER } from '../../pools/asker.ts';
import { type CopyHooks, CopyScene, DB } from '../../testing/copy-scene.ts';
import { PoolScene, type SceneOptions } from '../../testing/pool-scene.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from '../../testing/whole-turn.ts';
import { formatOf } from './file-place.ts';
import type { Convert } from './program.ts';
import { nbdPlace } from './to-nbd.ts';
import { eachStop, isBefore, type Run, type Stop } from '../../testing/stopped-verbs.ts';

const SIZE_BYTES = 1_048_576;

let parent: string;
let directory: string;
let backup: string;
let file: string;

beforeEach(() => {
  parent = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-file-copies-'));
  directory = path.join(parent, 'pools');
  backup = path.join(parent, 'backup');
  file = path.join(backup, 'db.raw');
  fs.mkdirSync(backup);
});

afterEach(() => removeFolder(parent));

/** Copies in place of qemu-img. */
const convert: Convert = async ({ job, source, target, bytes }) => {
  const buffer = Buffer.alloc(SIZE_BYTES);
  fs.readSync(source as number, buffer, 0, SIZE_BYTES, 0);
  fs.writeSync(target as number, buffer, 0, SIZE_BYTES, 0);
  job.copied(bytes);
};

async function open(at = directory, options: Partial<SceneOptions> = {}, ports: CopyHooks['ports'] = {}): Promise<CopyScene> {
  const scene = await PoolScene.open(at, { clock: systemClock, ...options });
  const copies = new CopyScene(scene, { ports: { convert, ...ports } });
  await copies.jobs.load();
  return copies;
}

async function created(copies: CopyScene): Promise<CopyScene> {
  await copies.scene.create({ pool: 'fast' });
  const { path: data } = [...copies.scene.served.values()][0]!;
  const descriptor = fs.openSync(data!, 'r+');
  fs.writeSync(descriptor, Buffer.alloc(4_096, 7), 0, 4_096, 8_192);
  fs.closeSync(descriptor);
  return copies;
}

/** Returns the files in the target's folder, and the files of snapshots. */
function left(at = directory): string[] {
  const snapshots = (fs.readdirSync(at, { recursive: true }) as string[]).filter((name) => /snapshots\/.*(json|data)$/.test(name));
  return [...fs.readdirSync(backup), ...snapshots];
}

function checkContent(): void {
  const content = fs.readFileSync(file);
  expect(content).toHaveLength(SIZE_BYTES);
  expect([content[0], content[8_192], content[12_287], content[12_288]]).toEqual([0, 7, 7, 0]);
}

async function wholeCopy(at: string, reached: (step: string) => void): Promise<void> {
  const copies = await created(await open(at, { reached }, { reached }));
  await copies.export(file);
  await copies.run();
  await copies.scene.pools.close();
}

test('after a stop at each step, the next start finishes the copy', async () => {
  const run: Run = (at, reached) =>
    wholeCopy(at, (step) => {
      reached(step);
      // A stopped server executes no further step.
      if (!fs.existsSync(at) && step.startsWith('copy:')) throw new Error('stopped');
    });
  const check = async ({ step, at }: Stop): Promise<void> => {
    // If a file has the target's name, this file must be complete.
    if (fs.existsSync(file)) checkContent();
    const again = await open(at);
    await again.run();
    await again.scene.pools.close();
    const [job] = again.jobs.list;
    const done = { step, state: 'done', reason: null, left: ['db.raw'] };
    expect({ step, state: job?.state, reason: job?.reason, left: left(at) }).toEqual(done);
    checkContent();
    fs.rmSync(file);
  };
  const isLeftOut = (step: string, index: number): boolean => {
    // The run without a stop has left its file. Remove the file before the runs that are stopped.
    if (index === 0) fs.rmSync(file);
    return isBefore(step);
  };
  const steps = await eachStop(run, check, { isLeftOut });
  for (const step of ['copy: part', 'copy: written', 'copy: durable', 'copy: linked', 'copy: named']) expect(steps).toContain(step);
});

// Regression: qemu-img copies as zeros what a file lacks, and the copy of a snapshot whose file was cut succeeded.
test('a copy of a snapshot whose file was cut fails, and so does one that is not whole at its end', async () => {
  const cutting: Convert = async (order) => {
    await convert(order);
    fs.ftruncateSync(order.target as number, SIZE_BYTES - 512);
  };
  const failing = async (options: CopyHooks['ports'], target: string, at = directory): Promise<string | null> => {
    const copies = await created(await open(at, {}, options));
    await copies.export(target);
    await copies.run();
    await copies.scene.pools.close();
    expect(fs.readdirSync(backup)).toEqual([]);
    return copies.jobs.find('1').reason;
  };
  expect(await failing({ convert: cutting }, file)).toMatch(/has 1048064 bytes, and the snapshot has 1048576: check the disk/);
  const check = async ({ text, remedy }: { text: string; remedy: string }): Promise<void> => {
    throw new Error(`${text} is cut; ${remedy}`);
  };
  const qcow2 = path.join(backup, 'db.qcow2');
  expect(await failing({ check }, qcow2, `${directory}-2`)).toBe(`${qcow2} is cut; check the disk, and copy it again`);
  for (const target of ['file', 'volume']) {
    const at = `${directory}-${target}`;
    const copies = await created(await open(at));
    await copies.scene.snapshots.snapshot([{ ...DB, snapshot: 'cut' }], LOCAL_ASKER, null, WHOLE_TURN);
    const [data] = left(at).filter((name) => name.endsWith('.data'));
    fs.truncateSync(path.join(at, data!), 4_096);
    const orders = copies.service.handlers(LOCAL_ASKER, WHOLE_CHANGES);
    const order = { ...DB, snapshot: 'cut', limitBytes: null, request: null };
    if (target === 'file') await orders['volume-export']({ ...order, target: file, format: null, force: false });
    else await orders['volume-copy']({ ...order, newName: 'new', newUniverse: 0, pool: 'fast' });
    await copies.run();
    const [job] = copies.jobs.list;
    const why = expect.stringMatching(/was cut: it has 4096 of 1048576 bytes; bring the former file back/);
    expect([target, job?.state, job?.reason]).toEqual([target, 'failed', why]);
    expect([fs.readdirSync(backup), copies.scene.served.size]).toEqual([[], 1]);
  }
});

test('a copy that fails or is cancelled leaves nothing, and a restart goes back to its beginning', async () => {
  let copies: CopyScene | null = null;
  const failing: Convert = async (order) => {
    await convert(order);
    if (order.job.record.id === '1') throw new Error('No space left');
    await copies!.jobs.cancel(order.job.record.id);
    order.job.check();
  };
  copies = await created(await open(directory, {}, { convert: failing }));
  await copies.export(file);
  await copies.run();
  expect([copies.jobs.find('1').state, copies.jobs.find('1').reason, left()]).toEqual(['failed', 'No space left', []]);
  const next = new CopyScene(copies.scene, { ports: { convert: failing } });
  copies = next;
  await next.jobs.load();
  await next.export(file);
  await next.run();
  expect([next.jobs.find('2').state, left()]).toEqual(['cancelled', []]);
  await next.scene.pools.close();
});

test('a file that appears meanwhile is not replaced, and with force it is', async () => {
  const late: Convert = async (order) => {
    await convert(order);
    fs.writeFileSync(file, 'precious');
  };
  const copies = await created(await open(directory, {}, { convert: late }));
  await copies.export(file);
  await copies.run();
  expect(copies.jobs.find('1').reason).toBe(`${file} exists: give another name, or --force to replace it`);
  expect([fs.readFileSync(file, 'utf8'), left()]).toEqual(['precious', ['db.raw']]);
  const forced = new CopyScene(copies.scene, { ports: { convert } });
  await forced.jobs.load();
  await forced.export(file, { force: true });
  await forced.run();
  checkContent();
  expect(left()).toEqual(['db.raw']);
  await copies.scene.pools.close();
});

test('the file of a volume that was added meanwhile is not replaced, even with force', async () => {
  const volumes: { name: string; path: string }[] = [];
  const late: Convert = async (order) => {
    await convert(order);
    fs.writeFileSync(file, 'precious');
    volumes.push({ name: 'section', path: file });
  };
  const copies = await created(await open(directory, {}, { convert: late, volumeFiles: () => volumes }));
  await copies.export(file, { force: true });
  await copies.run();
  expect(copies.jobs.find('1').reason).toBe(`${file} is the file of volume section: give another name`);
  expect([fs.readFileSync(file, 'utf8'), left()]).toEqual(['precious', ['db.raw']]);
  await copies.scene.pools.close();
});

describe('refusals', () => {
  test.each<[what: string, target: () => string, options: { force?: boolean }, text: RegExp]>([
    [
      'a file in a pool',
      () => path.join(directory, 'fast', 'volumes', 'x.raw'),
      { force: true },
      /is in pool fast: give the name of a new volume/,
    ],
    ['the folder of a pool under another name', () => path.join(parent, 'alias', 'x.raw'), {}, /is in pool fast/],
    ['the file of a volume', () => path.join(backup, 'section.raw'), { force: true }, /is the file of volume section: give another name/],
    ['a file that exists', () => path.join(backup, 'there.raw'), {}, /exists: give another name, or --force to replace it/],
    ['a link', () => path.join(backup, 'link.raw'), { force: true }, /is no regular file/],
    ['a folder that is missing', () => path.join(parent, 'none', 'x.raw'), {}, /none is no folder: make it/],
    ['no suffix', () => path.join(backup, 'x'), {}, /does not end in .qcow2, .raw or .img: give --format/],
    ['a path with ..', () => `${backup}/../x.raw`, {}, /^Wrong file/],
    ['another protocol', () => 'http://big-3/x', {}, /^Wrong NBD URI/],
  ])('%s', async (_what, target, options, text) => {
    fs.writeFileSync(path.join(backup, 'section.raw'), 'x');
    fs.writeFileSync(path.join(backup, 'there.raw'), 'x');
    fs.symlinkSync('there.raw', path.join(backup, 'link.raw'));
    const volumeFiles = () => [{ name: 'section', path: path.join(backup, 'section.raw') }];
    const copies = await created(await open(directory, {}, { volumeFiles }));
    fs.symlinkSync(path.join(directory, 'fast'), path.join(parent, 'alias'));
    await expect(copies.export(target(), options)).rejects.toThrow(text);
    expect(copies.jobs.list).toEqual([]);
    await copies.scene.pools.close();
  });

  test('two jobs that write one file', async () => {
    const copies = await created(await open());
    await copies.scene.create({ name: 'other', pool: 'fast' });
    await copies.export(file);
    await expect(copies.export(file)).rejects.toThrow(/^Job 1 is making .*db.raw: wait for it, or cancel it/);
    await copies.scene.pools.close();
  });

  test('a limit of a program that is running', async () => {
    let text = '';
    let copies: CopyScene | null = null;
    const limited: Convert = async (order) => {
      const { 'job-limit': limit } = copies!.service.handlers(LOCAL_ASKER, WHOLE_CHANGES);
      await Promise.resolve(limit({ id: '1', limitBytes: null, request: null })).catch(
        (thrown: unknown) => (text = (thrown as Error).message),
      );
      await convert(order);
    };
    copies = await created(await open(directory, {}, { convert: limited }));
    await copies.export(file);
    await copies.run();
    expect(text).toMatch(/^Job 1 copies with qemu-img, whose limit is set when it begins/);
    await copies.scene.pools.close();
  });
});

test('the suffix or the option says the format', () => {
  expect(['/b/x.qcow2', '/b/x.raw', '/b/x.img'].map((name) => formatOf(name, null))).toEqual(['qcow2', 'raw', 'raw']);
  expect(formatOf('/b/x.raw', 'qcow2')).toBe('qcow2');
});

test('NBD URIs', () => {
  expect(nbdPlace('nbd://big-3/my%20db')).toEqual({ connect: { host: 'big-3', port: 10_809 }, exportName: 'my db' });
  expect(nbdPlace('nbd://[::1]:7/')).toEqual({ connect: { host: '::1', port: 7 }, exportName: '' });
  expect(nbdPlace('nbd+unix:///osl/db?socket=/run/a')).toEqual({ connect: { path: '/run/a' }, exportName: 'osl/db' });
  const wrong = [
    'nbds://big-3/db',
    'nbd://u:p@big-3/db',
    'nbd:///db',
    'nbd+unix:///db',
    'nbd+unix:///db?socket=a',
    'nbd://big-3/db?x=1',
    'nbd://big-3/%00',
    'x',
  ];
  for (const uri of wrong) expect(() => nbdPlace(uri), uri).toThrow(/^Wrong NBD URI/);
});
