// Tests `backup-run` up to the copy itself, which needs qemu: refusals, the orders to the server, and what a failed run leaves. Complete
// runs are in test/interop/backup-runs.test.ts. Rules: G49.

import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { snapshot, volume } from '@rsio/api/testing/server-views';
import { beforeEach, expect, test } from 'vitest';
import { sealBackup, writeBackup } from '../../testing/backup-folder.ts';
import { root, run } from '../../testing/rsconfig-run.ts';
import { attachment } from '../../testing/views.ts';
import { BIG_9, DOWN, asked, type Machine, machine, serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';

useServerVolumes();

const MADE = 'backup-20100914-150232';
let folder: string;
/** The servers from which rsiod was asked to attach the new snapshot. */
let attached: (string | null)[];
let detached: string[];

beforeEach(() => {
  folder = join(root, 'backups');
  mkdirSync(folder);
  [attached, detached] = [[], []];
});

/** Writes a backup of the volume `oracle` that a run has made, or its description alone. */
function write(name: string, id: string, state: string, isThere: boolean): string {
  const file = writeBackup(folder, `oracle@${name}.qcow2`, id, null, null);
  const record = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as object;
  const mark = { volumeId: volume().id, number: 1, madeMs: Date.UTC(2010, 8, 14), request: `request-${name}`, state };
  writeFileSync(`${file}.json`, JSON.stringify({ ...record, snapshot: `osl:oracle@0@${name}`, run: mark }));
  if (!isThere) writeFileSync(file, '');
  return file;
}

/** Serves a server with these snapshots, and with each new one. rsiod cannot attach them. */
async function begin(snapshots: readonly { snapshot: string; id: string }[], orders: Machine['orders'] = {}): Promise<void> {
  const all = snapshots.map((one) => snapshot(one));
  const make = ({ snapshots: [wanted] }: { snapshots: readonly { snapshot: string }[] }) => {
    const known = all.find((one) => one.snapshot === wanted!.snapshot);
    if (known !== undefined) return { snapshots: [known] };
    all.push(snapshot({ snapshot: wanted!.snapshot, id: 'new-id' }));
    return { snapshots: [all.at(-1)!] };
  };
  await serve([machine('big-9', { 'volume-show': () => ({ volume: volume(), snapshots: all }), 'volume-snapshot': make, ...orders })], {
    local: () => ({ attachments: [attachment({ name: 'oracle@cut', id: 'id-cut' }), attachment({ name: 'oracle@one' })], awaited: [] }),
    detach: ({ names }) => {
      detached.push(...names);
      return { outcomes: names.map((name) => ({ volume: name, done: true, already: false, device: null, error: null })) };
    },
    'order-attach': ({ name, server }) => {
      attached.push(server);
      const error = { code: 'E_UNKNOWN_SNAPSHOT', message: `No snapshot ${name}` };
      return { ticket: 't', outcome: { volume: name, done: false, already: false, device: null, error } };
    },
  });
}

const removals = (): string[] => asked.filter((one) => one.includes('volume-snapshot-remove')).map((one) => one.replace(/^\S+ \S+ /, ''));
const removal = (name: string, onlyId: string, id: number): string =>
  `{"name":"oracle","universe":0,"snapshot":"${name}","onlyId":"${onlyId}","request":"id-${id}"}`;
const again = (): ReturnType<typeof run> => run(['backup-run', 'oracle', folder, '--full-every', '7d', '--keep', '2']);

test.each([
  ['oracle@monday D --full-every 7d --keep 2', 'oracle@monday is not the name of a volume'],
  ['oracle D --keep 2', '--full-every is missing: give it a time such as 7d'],
  ['oracle D --full-every 7 --keep 2', 'Wrong duration "7"'],
  ['oracle D --full-every 0d --keep 2', 'Wrong --full-every 0d: allowed is 1s to 3650d'],
  ['oracle D --full-every 7d', '--keep is missing: give it a number of chains from 1 to 1000'],
  ['oracle D --full-every 7d --keep 0', '--keep is wrong'],
  ['oracle D/not --full-every 7d --keep 2', 'mount the disk for backups, or make the directory'],
  ['oracle D --full-every 7d --keep 2', 'has no backup of osl:oracle@0 by backup-run: mount the disk for backups, or give --begin'],
])('backup-run %s is refused', async (line, message) => {
  await begin([]);
  const { code, err } = await run(`backup-run ${line.replace(' D', ` ${folder}`)}`);
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  expect(asked.filter((one) => !one.includes('volume-show'))).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('while a server is away that may have the volume, too, nothing is made, and the remedy is one that this command has', async () => {
  await serve([BIG_9, DOWN]);
  const { code, err } = await run(`backup-run oracle ${folder} --full-every 7d --keep 1 --begin`);
  expect([code, asked.filter((one) => !one.includes('volume-show'))]).toEqual([1, []]);
  expect(err).toContain('(Server big-7 of osl is down: Connection refused): the command works as soon as each has answered once; ');
  expect(err).toContain('rsconfig server remove SECTION');
  expect(err).not.toContain('--server');
});

test('if no increment is possible, a full backup is tried; a failed run removes its own snapshot, by its id, and its files', async () => {
  await sealBackup(write('one', 'id-one', 'made', true));
  await begin([{ snapshot: 'one', id: 'id-one' }]);
  const { code, err } = await again();
  expect([code, err]).toEqual([1, expect.stringContaining(`No snapshot osl:oracle@0@${MADE} [E_UNKNOWN_SNAPSHOT]`)]);
  expect(attached).toHaveLength(2);
  expect(removals()).toEqual([removal(MADE, 'new-id', 2)]);
  expect(readdirSync(folder).toSorted()).toEqual(['oracle@one.qcow2', 'oracle@one.qcow2.json']);
});

test.each([
  ['is longer than it was', (file: string) => appendFileSync(file, 'x')],
  ['was changed in its middle', (file: string) => writeFileSync(file, readFileSync(file).fill(1, 900))],
  [
    'has no checksum',
    (file: string) => writeFileSync(`${file}.json`, readFileSync(`${file}.json`, 'utf8').replace(/"sha256":"\w+"/, '"sha256":null')),
  ],
] as const)('no increment is made on a file that %s', async (_, damage) => {
  const file = write('one', 'id-one', 'made', true);
  await sealBackup(file);
  damage(file);
  await begin([{ snapshot: 'one', id: 'id-one' }]);
  const { code } = await again();
  expect(code).toBe(1);
  // One attempt: a full backup. The increment would have been the first of two.
  expect(attached).toHaveLength(1);
});

test('what interrupted runs have left is removed, with the snapshots whose ids their descriptions name', async () => {
  write('one', 'id-one', 'made', true);
  write('cut', 'id-cut', 'making', false);
  write('replaced', 'id-replaced', 'making', false);
  write('half-removed', 'id-half', 'removing', true);
  write('kept', 'id-kept', 'a state of a later release', true);
  await begin([
    { snapshot: 'one', id: 'id-one' },
    { snapshot: 'cut', id: 'id-cut' },
    { snapshot: 'replaced', id: 'another' },
    { snapshot: 'half-removed', id: 'id-half' },
  ]);
  const { err } = await again();
  expect(err).toContain('An interrupted run has left oracle@cut.qcow2: it is removed');
  expect(detached).toEqual(['osl:oracle@0@cut']);
  expect(removals()).toEqual([removal('cut', 'id-cut', 1), removal('half-removed', 'id-half', 2), removal(MADE, 'new-id', 4)]);
  expect(err).toContain('oracle@kept.qcow2.json does not describe a backup');
  expect(readdirSync(folder).toSorted()).toEqual(['kept', 'one'].flatMap((name) => [`oracle@${name}.qcow2`, `oracle@${name}.qcow2.json`]));
});

test.each([
  ['which the server has made meanwhile', null, [removal('asked', 'id-asked', 1)]],
  ['which the server refuses', 'E_EXISTS', []],
] as const)('a run that was cut while it asked for its snapshot, %s', async (_, refusal, expected) => {
  write('one', 'id-one', 'made', true);
  write('asked', '', 'asking', false);
  const orders: Machine['orders'] = {
    'volume-snapshot': ({ snapshots: [wanted], request }: { snapshots: readonly { snapshot: string }[]; request: string }) => {
      if (request !== 'request-asked') throw new RsError('E_LIMIT', 'No more snapshots');
      if (refusal !== null) throw new RsError(refusal, 'There is another one');
      return { snapshots: [snapshot({ snapshot: wanted!.snapshot, id: 'id-asked' })] };
    },
  };
  await begin([{ snapshot: 'asked', id: 'other' }], orders);
  const { code, err } = await again();
  expect([code, err]).toEqual([1, expect.stringContaining('No more snapshots [E_LIMIT]')]);
  expect(removals()).toEqual(expected);
  expect(readdirSync(folder).filter((name) => name.includes('asked'))).toEqual([]);
  // Whether the server has made the snapshot of this run is not known, so that its description stays.
  expect(readdirSync(folder)).toContain(`oracle@${MADE}.qcow2.json`);
});

test('a description stays until its snapshot is removed, and the error says why it was not', async () => {
  write('one', 'id-one', 'made', true);
  write('cut', 'id-cut', 'making', false);
  await begin([{ snapshot: 'cut', id: 'id-cut' }], {
    'volume-snapshot-remove': () => {
      throw new RsError('E_IN_USE', 'A client has it attached');
    },
  });
  const { code, err } = await again();
  expect([code, err]).toEqual([1, expect.stringContaining('oracle@cut.qcow2 could not be removed: A client has it attached')]);
  const left = readdirSync(folder).filter((name) => !name.includes('@one'));
  expect(left.toSorted()).toEqual([`oracle@${MADE}.qcow2.json`, 'oracle@cut.qcow2.json']);
});
