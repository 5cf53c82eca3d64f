// Tests rsadm from its arguments to its output, with a real control socket and fake handlers: the request of each command, its output, its
// refusals and its help. Edits of rssrvcfg and the page of `status` have separate tests in commands/.

import { shownCall } from '@rsio/common/cli/command';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { misfit } from '@rsio/base/lib/shape';
import { client, job, snapshot, volume } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { CLIENT_LIST } from './commands/clients.ts';
import { COMMANDS } from './command-table.ts';
import { ANSWERS, CONFIG, FARM, type Handlers, INTERFACES, POOLS, refusing, useAdmScene, VOLUMES } from './testing/adm-scene.ts';

const scene = useAdmScene();

const name = { name: 'oracle', universe: 0 };
const request = 'id-1';
const created = {
  ...name,
  sizeBytes: 20 * 1024 ** 3,
  blockSizeBytes: 512,
  pool: null,
  pools: null,
  chunkBytes: null,
  thick: false,
  readonly: false,
  shared: false,
  clients: null,
  takeOver: null,
  takeOverForce: false,
  settings: [],
  request,
};

const REMOVED =
  'VOLUME     SIZE  POOL  REMOVED                    BY  KEPT FOR\noracle@0  20.0G  fast  1970_01_01-00:00:00 (GMT)  -   1h 30m\n';
const DETAILS = `oracle@0
    id:        8a65f309-f092-4c5a-913e-b2a388712c4e
    state:     served
    size:      20.0G (21474836480 bytes), blocks of 512
    used:      1.5K
    pool:      fast
    file:      /srv/fast/volumes/8a65f309-f092-4c5a-913e-b2a388712c4e/data
    mode:      read-write
    clients:   all
    take-over: all
    owner:     -
    created:   1970_01_01-00:00:00 (GMT)
    held by:   -
`;

describe('each command sends its request and prints the answer', () => {
  test.each<[string[], ServerMethodName, unknown, string]>([
    [['interface', 'list'], 'interface-list', {}, INTERFACES],
    [['pool', 'list'], 'pool-list', {}, POOLS],
    [['pool', 'check', 'fast'], 'pool-check', { name: 'fast' }, 'pool fast: 1 volume, nothing unexplained\n'],
    [['pool', 'move', 'fast', '--to', 'big-8'], 'pool-move', { name: 'fast', to: 'big-8' }, 'fast is served by big-8, after 3.2 s\n'],
    [['pool', 'grow', 'fast'], 'pool-grow', { name: 'fast' }, 'fast has 2.0T now; before: 1.0T\n'],
    [
      ['pool', 'release', 'fast'],
      'pool-release',
      { name: 'fast' },
      'No server has fast; rsadm pool move fast --to SERVER brings it back\n',
    ],
    [['farm'], 'farm-show', {}, FARM],
    [['volume', 'list'], 'volume-list', { pool: null }, VOLUMES],
    [['volume', 'list', '--pool', 'fast'], 'volume-list', { pool: 'fast' }, VOLUMES],
    [['volume', 'list', '--removed'], 'volume-list', { pool: null }, REMOVED],
    [['volume', 'show', 'oracle'], 'volume-show', name, DETAILS],
    [['volume', 'show', 'oracle@0'], 'volume-show', name, DETAILS],
    [['volume', 'create', 'oracle', '--size', '20g'], 'volume-create', created, 'oracle@0 created in pool fast, 20.0G\n'],
    [
      ['volume', 'create', 'x@3', '--size=1M', '--pool', 'p', '--thick', '--read-only', '--shared', '--block-size', '4096'],
      'volume-create',
      {
        ...created,
        name: 'x',
        universe: 3,
        sizeBytes: 1_048_576,
        blockSizeBytes: 4096,
        pool: 'p',
        thick: true,
        readonly: true,
        shared: true,
      },
      'oracle@0 created in pool fast, 20.0G\n',
    ],
    [
      ['volume', 'grow', 'oracle', '1t'],
      'volume-grow',
      { ...name, sizeBytes: 2 ** 40, pool: null, mirror: null, request },
      'oracle@0 now has 1.0T\n',
    ],
    [
      ['volume', 'grow', 'oracle', '1t', '--pool', 'c'],
      'volume-grow',
      { ...name, sizeBytes: 2 ** 40, pool: 'c', mirror: null, request },
      'oracle@0 now has 1.0T\n',
    ],
    [
      ['volume', 'create', 'oracle', '--size', '20g', '--stripe', '64k', '--pools', 'a,b'],
      'volume-create',
      { ...created, pools: ['a', 'b'], chunkBytes: 65_536 },
      'oracle@0 created in pool fast, 20.0G\n',
    ],
    [
      ['volume', 'create', 'oracle', '--size', '20g', '--concat', '--pools', 'a,b'],
      'volume-create',
      { ...created, pools: ['a', 'b'] },
      'oracle@0 created in pool fast, 20.0G\n',
    ],
    [
      ['volume', 'rename', 'oracle', 'data@1'],
      'volume-rename',
      { ...name, newName: 'data', newUniverse: 1, request },
      'oracle@0 is now data@1\n',
    ],
    [
      ['volume', 'set', 'oracle', 'readonly=yes', 'shared=no'],
      'volume-set',
      { ...name, settings: ['readonly=yes', 'shared=no'], request },
      DETAILS.replace('read-write', 'read-only'),
    ],
    [
      ['volume', 'remove', 'oracle', '--yes'],
      'volume-remove',
      { ...name, request },
      'oracle@0 removed; until 1970_01_02-00:00:00 (GMT), rsadm volume restore oracle brings it back\n',
    ],
    [
      ['volume', 'revoke', 'oracle', 'big-2'],
      'volume-revoke',
      { ...name, client: 'big-2', request },
      'oracle@0 was taken away from big-2, which may not attach it any more\n',
    ],
    [
      ['volume', 'pause', 'oracle', '--for', '2m'],
      'volume-pause',
      { ...name, forMs: 120_000 },
      'oracle@0 is stopped since 1970_01_01-00:00:00 (GMT)\n',
    ],
    [['volume', 'resume', 'oracle'], 'volume-resume', name, 'oracle@0 is served\n'],
    [['volume', 'stop', 'oracle'], 'volume-stop', name, 'oracle@0 is stopped since 1970_01_01-00:00:00 (GMT)\n'],
    [['volume', 'start', 'oracle'], 'volume-start', name, 'oracle@0 is served\n'],
    [['volume', 'restore', 'oracle'], 'volume-restore', { ...name, request }, 'oracle@0 restored in pool fast\n'],
    [
      ['volume', 'purge', '--older', '2h', '--yes'],
      'volume-purge',
      { name: null, universe: 0, id: null, olderMs: 7_200_000, request: null },
      'oracle@0, 20.0G, deleted for good from pool fast\n',
    ],
    [
      ['volume', 'purge', 'oracle', '--yes'],
      'volume-purge',
      { ...name, id: null, olderMs: 0, request: null },
      'oracle@0, 20.0G, deleted for good from pool fast\n',
    ],
    [
      ['volume', 'remove', 'oracle@monday', '--yes'],
      'volume-snapshot-remove',
      { ...name, snapshot: 'monday', onlyId: null, request },
      'oracle@0@monday removed\n',
    ],
    [
      ['volume', 'snapshot', 'oracle@monday', 'data@1@monday'],
      'volume-snapshot',
      {
        snapshots: [
          { ...name, snapshot: 'monday' },
          { name: 'data', universe: 1, snapshot: 'monday' },
        ],
        request,
      },
      'oracle@0@monday made, 20.0G\ndata@1@monday made, 20.0G\n',
    ],
    [
      ['volume', 'clone', 'oracle@monday', 'copy@2'],
      'volume-clone',
      { ...name, snapshot: 'monday', newName: 'copy', newUniverse: 2, request },
      'copy@0 created in pool fast, 20.0G, as oracle@monday\n',
    ],
    [
      ['volume', 'rollback', 'oracle@0@monday'],
      'volume-rollback',
      { ...name, snapshot: 'monday', request },
      'oracle@0 has the content of snapshot monday; its content before is oracle@0@before-rollback-1\n',
    ],
    [
      ['volume', 'import', '/srv/oracle.img', 'oracle', '--pool', 'fast', '--background'],
      'volume-import',
      { source: '/srv/oracle.img', format: null, ...name, pool: 'fast', blockSizeBytes: 512, limitBytes: null, request },
      'Job 7: /srv/oracle.img is imported as oracle@0 in pool slow; rsadm jobs 7 shows its progress\n',
    ],
    [
      ['volume', 'image', 'oracle', '--universe', '2'],
      'volume-image',
      { ...name, newUniverse: 2, pool: null, limitBytes: null, request },
      'oracle@2 created in pool fast, 20.0G, as an image of oracle@0\n',
    ],
    [
      ['volume', 'refresh', 'oracle@1', 'log@1'],
      'volume-refresh',
      {
        images: [
          { name: 'oracle', universe: 1 },
          { name: 'log', universe: 1 },
        ],
        limitBytes: null,
        request,
      },
      'oracle@1 refreshed from oracle@0\nlog@1 refreshed from oracle@0\n',
    ],
    [
      ['volume', 'restore', 'oracle', '--from', '1'],
      'volume-image-restore',
      { ...name, fromUniverse: 1, limitBytes: null, request },
      'oracle@0 has the content of its image oracle@1; its content before is oracle@0@before-restore-1\n',
    ],
    [['volume', 'split', 'oracle@1'], 'volume-split', { name: 'oracle', universe: 1, request }, 'oracle@1 is an ordinary volume now\n'],
    [
      ['volume', 'move', 'oracle', '--pool', 'slow', '--limit', '100m', '--background'],
      'volume-move',
      { ...name, from: null, pool: 'slow', limitBytes: 100 * 1024 ** 2, request },
      'Job 7: oracle@0 moves from pool fast to pool slow; rsadm jobs 7 shows its progress\n',
    ],
    [
      ['volume', 'move', 'oracle', '--from', 'fast', '--pool', 'slow', '--background'],
      'volume-move',
      { ...name, from: 'fast', pool: 'slow', limitBytes: null, request },
      'Job 7: oracle@0: its files in pool fast move to pool slow; rsadm jobs 7 shows its progress\n',
    ],
    [
      ['volume', 'copy', 'oracle@monday', 'test', '--pool', 'slow', '--limit', '100m', '--background'],
      'volume-copy',
      { ...name, snapshot: 'monday', newName: 'test', newUniverse: 0, pool: 'slow', limitBytes: 100 * 1024 ** 2, request },
      'Job 7: oracle@monday is copied to test@0 in pool slow; rsadm jobs 7 shows its progress\n',
    ],
    [
      ['volume', 'copy', 'oracle', '/backup/oracle.qcow2', '--force', '--background'],
      'volume-export',
      { ...name, snapshot: null, target: '/backup/oracle.qcow2', format: null, force: true, limitBytes: null, request },
      'Job 7: oracle is copied to /backup/oracle.qcow2; rsadm jobs 7 shows its progress\n',
    ],
    [
      ['volume', 'copy', 'oracle@monday', 'nbd://big-3/db', '--limit', '1m', '--background'],
      'volume-export',
      { ...name, snapshot: 'monday', target: 'nbd://big-3/db', format: null, force: false, limitBytes: 1024 ** 2, request },
      'Job 7: oracle@monday is copied to nbd://big-3/db; rsadm jobs 7 shows its progress\n',
    ],
    [
      ['jobs', '7'],
      'job-list',
      { id: '7' },
      'JOB  WHAT                           STATE    COPIED       SPEED  LIMIT  BY  RESTART  REASON\n7    move oracle from fast to slow  running  10.0G/20.0G  -      -      -   goes on\n',
    ],
    [['jobs', 'cancel', '7'], 'job-cancel', { id: '7', request }, 'Job 7 is being cancelled\n'],
    [['jobs', 'limit', '7', '1m'], 'job-limit', { id: '7', limitBytes: 1024 ** 2, request }, 'Job 7 copies at most 1.0M in a second\n'],
    [['jobs', 'limit', '7', 'none'], 'job-limit', { id: '7', limitBytes: null, request }, 'Job 7 copies without limit\n'],
    [['reload'], 'reload', {}, 'pool x is added\n'],
  ])('%j', async (argv, method, params, out) => {
    await scene.serve();
    expect(await scene.run(argv)).toEqual({ code: 0, out, err: '' });
    expect(scene.asked).toEqual([[method, params]]);
  });

  test('volume image and refresh name the job that makes an image in another pool, and the command that shows it', async () => {
    const made = job({ kind: 'copy', newName: 'oracle@2' });
    await scene.serve({ 'volume-image': () => ({ volume: null, job: made }), 'volume-refresh': () => ({ volumes: [], jobs: [made] }) });
    const { out } = await scene.run(['volume', 'image', 'oracle', '--universe', '2', '--pool', 'slow', '--background']);
    expect(out).toBe('Job 7: oracle@2 is being made in pool slow; rsadm jobs 7 shows its progress\n');
    const refreshed = await scene.run(['volume', 'refresh', 'oracle@2', '--background']);
    expect(refreshed.out).toBe('Job 7: oracle@2 is being refreshed; rsadm jobs 7 shows its progress\n');
  });

  test.each([
    ['volume move', ['volume', 'move', 'oracle', '--pool', 'slow'], 'volume-move', 'oracle@0 is now in pool slow\n'],
    ['volume image', ['volume', 'image', 'oracle', '--universe', '2', '--pool', 'slow'], 'volume-image', 'oracle@2 is made in pool slow\n'],
    ['volume refresh', ['volume', 'refresh', 'oracle@2'], 'volume-refresh', 'oracle@2 refreshed\n'],
  ] as const)('%s waits for its job, also without a terminal and with --json', async (_, argv, method, done) => {
    const begun = job({ state: 'running' });
    const reply = method === 'volume-refresh' ? { volumes: [], jobs: [begun] } : { volume: null, job: begun };
    let end: 'done' | 'failed' = 'done';
    await scene.serve({
      [method]: () => reply,
      'job-list': () => ({ jobs: [job({ state: end, endedMs: 5, reason: end === 'failed' ? 'No space' : null })] }),
    });
    expect(await scene.run(argv)).toMatchObject({ code: 0, out: done });
    const { code, out } = await scene.run([...argv, '--json']);
    expect([code, out.includes('"state": "done"')]).toEqual([0, true]);
    end = 'failed';
    expect(await scene.run(argv)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('Job 7 has failed: No space') as string });
    expect((await scene.run([...argv, '--json'])).code).toBe(1);
  });

  test('volume diff asks for all parts, and joins ranges that continue', async () => {
    await scene.serve();
    const { code, out } = await scene.run(['volume', 'diff', 'oracle@monday']);
    expect([code, out]).toEqual([0, 'oracle@0 from monday to now: 8.0K of 12.0K in 1 range\n0 8192\n']);
    const parts = [0, 4_096, 8_192].map((offsetBytes) => ['volume-diff', { ...name, snapshot: 'monday', until: null, offsetBytes }]);
    expect(scene.asked).toEqual(parts);
    const { out: json } = await scene.run(['volume', 'diff', 'oracle@0@monday', '--json']);
    expect(JSON.parse(json)).toEqual({ sizeBytes: 12_288, changedBytes: 8_192, ranges: [{ offsetBytes: 0, lengthBytes: 8_192 }] });
  });

  test.each([
    ['other snapshots', 4_096, (offsetBytes: number) => `id ${offsetBytes}`],
    ['nothing new', 0, () => 'id'],
  ])('volume diff refuses a part that is of %s', async (_, lengthBytes, idOf) => {
    await scene.serve({
      'volume-diff': ({ offsetBytes }) => ({
        sizeBytes: 8_192,
        endBytes: offsetBytes + lengthBytes,
        ranges: [],
        snapshotId: idOf(offsetBytes),
        untilId: null,
      }),
    });
    expect((await scene.run(['volume', 'diff', 'oracle@monday'])).err).toContain('have changed meanwhile: try again');
  });

  test.each<[string[], ServerMethodName]>([
    [['events'], 'events'],
    [['stats'], 'stats'],
    [['ready-to-restart'], 'readiness'],
    [['interface', 'list'], 'interface-list'],
    [['pool', 'list'], 'pool-list'],
    [['pool', 'check', 'fast'], 'pool-check'],
    [['volume', 'list'], 'volume-list'],
    [['volume', 'list', '--removed'], 'volume-list'],
    [['volume', 'show', 'oracle'], 'volume-show'],
    [['volume', 'create', 'oracle', '--size', '20g'], 'volume-create'],
    [['volume', 'grow', 'oracle', '1t'], 'volume-grow'],
    [['volume', 'rename', 'oracle', 'data'], 'volume-rename'],
    [['volume', 'set', 'oracle', 'readonly=yes'], 'volume-set'],
    [['volume', 'allow', 'oracle', 'big-2'], 'volume-allow'],
    [['volume', 'revoke', 'oracle', 'big-2'], 'volume-revoke'],
    [['volume', 'pause', 'oracle'], 'volume-pause'],
    [['volume', 'resume', 'oracle'], 'volume-resume'],
    [['volume', 'stop', 'oracle'], 'volume-stop'],
    [['volume', 'start', 'oracle'], 'volume-start'],
    [['volume', 'remove', 'oracle', '--yes'], 'volume-remove'],
    [['volume', 'restore', 'oracle'], 'volume-restore'],
    [['volume', 'purge', 'oracle', '--yes'], 'volume-purge'],
    [['volume', 'clone', 'oracle@monday', 'copy'], 'volume-clone'],
    [['volume', 'rollback', 'oracle@monday'], 'volume-rollback'],
    [['volume', 'image', 'oracle', '--universe', '1'], 'volume-image'],
    [['volume', 'refresh', 'oracle@1'], 'volume-refresh'],
    [['volume', 'split', 'oracle@1'], 'volume-split'],
    [['volume', 'replicate', 'oracle', '--to', 'big-8', '--every', '5m'], 'volume-replicate'],
    [['volume', 'replicate', 'oracle', '--end'], 'volume-replicate-end'],
    [['volume', 'replications'], 'replication-list'],
    [['volume', 'seed', 'oracle', '--from', 'carried'], 'volume-seed'],
    [['volume', 'promote', 'oracle', '--yes'], 'volume-promote'],
    [['volume', 'reverse', 'oracle'], 'volume-reverse'],
    [['volume', 'demote', 'oracle', '--for', 'big-8', '--yes'], 'volume-demote'],
    [['volume', 'move', 'oracle', '--pool', 'slow', '--background'], 'volume-move'],
    [['volume', 'copy', 'oracle', 'test', '--background'], 'volume-copy'],
    [['volume', 'import', '/srv/oracle.img', 'oracle', '--background'], 'volume-import'],
    [['jobs'], 'job-list'],
    [['jobs', 'cancel', '7'], 'job-cancel'],
    [['jobs', 'limit', '7', 'none'], 'job-limit'],
    [['reload'], 'reload'],
  ])('%j --json prints the answer of %s, and nothing else', async (argv, method) => {
    await scene.serve();
    const { code, out, err } = await scene.run([...argv, '--json']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const answer: unknown = JSON.parse(out);
    const isOfTwo = method === 'volume-remove' || method === 'volume-restore';
    const { left: _left, ...expected } = (ANSWERS[method] as unknown as () => { left?: number })();
    if (!isOfTwo && method !== 'volume-purge' && method !== 'volume-create')
      expect(misfit(SERVER_METHODS[method].result, answer, 'exactly')).toBeNull();
    // `volume remove` also removes snapshots, and `volume restore` also restores from images. The answers have fields for these cases,
    // which are null here. `volume create` says whether the volume existed.
    const added = method === 'volume-create' ? { existed: false } : {};
    const more = method === 'volume-remove' ? { volume: null } : isOfTwo ? { kept: null, job: null } : added;
    expect(answer).toEqual({ ...expected, ...more });
  });

  test('volume show lists the snapshots', async () => {
    const snapshots = [snapshot(), snapshot({ snapshot: 'tuesday', usedBytes: null, by: 'big-2' })];
    await scene.serve({ 'volume-show': () => ({ volume: volume(), snapshots }) });
    const { out } = await scene.run(['volume', 'show', 'oracle']);
    expect(out).toBe(
      `${DETAILS}    snapshot:  monday of 1970_01_01-00:00:00 (GMT), 20.0G, up to 1.0G used
    snapshot:  tuesday of 1970_01_01-00:00:00 (GMT), 20.0G, by big-2
`,
    );
  });

  test('the removal of a snapshot asks for it, and needs no consent of a client', async () => {
    await scene.serve();
    const asked: string[] = [];
    const ask = async (question: string): Promise<string> => {
      asked.push(question);
      return 'n';
    };
    expect(await scene.run(['volume', 'remove', 'oracle@monday'], ask)).toMatchObject({ code: 1, err: 'rsadm: Nothing was removed\n' });
    expect(asked).toEqual(['Remove snapshot oracle@0@monday for good? [y/N] ']);
    const answer = await scene.run(['volume', 'remove', 'oracle@monday', '--yes', '--json']);
    expect(JSON.parse(answer.out)).toEqual({ removed: null, volume: volume() });
  });

  test.each<[string[], string]>([
    [['snapshot', 'oracle'], 'No snapshot in "oracle": give NAME@SNAPSHOT, such as oracle@monday'],
    [['snapshot', 'oracle@1'], 'No snapshot in "oracle@1"'],
    [['rollback', 'oracle@a b'], 'Wrong snapshot name "a b": allowed is'],
    [['clone', 'oracle@.new-x', 'copy'], 'Wrong snapshot name ".new-x"'],
    [['clone', 'oracle@monday', 'a b'], 'Wrong volume name "a b"'],
    [['remove', '@monday', '--yes'], 'Wrong volume name ""'],
  ])('volume %j is refused before anything is sent', async (words, sentence) => {
    await scene.serve();
    const { code, err } = await scene.run(['volume', ...words]);
    expect(code).toBe(2);
    expect(err).toContain(sentence);
    expect(scene.asked).toEqual([]);
  });

  test('client list --json adds the paths of each session to the answer', async () => {
    const paths = [{ interface: 'if1', address: '192.168.10.2', sinceMs: 0, requests: 7, cipher: 'TLS_AES_128_GCM_SHA256' }];
    const session = {
      client: 'big-2',
      address: '192.168.10.2',
      sinceMs: 0,
      ageMs: 0,
      isBlocked: false,
      holesOff: false,
      paths,
      volumes: [],
    };
    const clients = [client({ name: 'big-2' }), client({ name: 'venus' })];
    await scene.serve({ 'client-list': () => ({ clients }), stats: () => ({ sessions: [session], waits: [] }) });
    const { code, out, err } = await scene.run(['client', 'list', '--json']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toEqual({
      clients: [
        { ...clients[0], paths },
        { ...clients[1], paths: [] },
      ],
    });
    expect(misfit(CLIENT_LIST.json!, JSON.parse(out), 'exactly')).toBeNull();
  });

  test('every command with --json has a shape', () => {
    const withJson = COMMANDS.filter(({ options }) => Object.hasOwn(options, 'json'));
    expect(withJson.length).toBeGreaterThan(50);
    expect(withJson.filter(({ json }) => json === undefined)).toEqual([]);
  });

  test.each<[string[], Handlers, string]>([
    [['pool', 'list'], { 'pool-list': () => ({ pools: [] }) }, 'No pool: rsadm pool add NAME PATH makes one'],
    [
      ['volume', 'list'],
      { 'volume-list': () => ({ volumes: [], removed: [] }) },
      'No volume: rsadm volume create NAME --size SIZE makes one',
    ],
    [['volume', 'list', '--pool', 'fast'], { 'volume-list': () => ({ volumes: [], removed: [] }) }, 'No volume in pool fast'],
    [['volume', 'list', '--removed'], { 'volume-list': () => ({ volumes: [volume()], removed: [] }) }, 'No removed volume can be restored'],
    [['client', 'list'], { 'client-list': () => ({ clients: [] }) }, 'No client: rsadm client add NAME lets one connect'],
    [['reload'], { reload: () => ({ applied: [] }) }, 'rssrv already uses this ROOT/etc/dvsc/rssrvcfg: nothing in it has changed'],
  ])('%j of an empty list says so on stderr', async (argv, handlers, sentence) => {
    await scene.serve(handlers);
    expect(await scene.run(argv)).toEqual({ code: 0, out: '', err: `rsadm: ${sentence}\n` });
  });

  test('a volume that is created and not served is said, with the reason', async () => {
    await scene.serve({ 'volume-create': () => ({ volume: volume({ state: 'unavailable', reason: 'its file is locked' }) }) });
    const { code, err } = await scene.run(['volume', 'create', 'oracle', '--size', '20g']);
    expect({ code, err }).toEqual({ code: 0, err: 'rsadm: oracle@0 is not served: its file is locked\n' });
  });

  test('a client that is not configured is said when a volume is made for it', async () => {
    const clients = ['big-2', 'mars'];
    const answer = () => ({ volume: volume({ clients }), client: 'mars' });
    await scene.serve({ 'volume-create': answer, 'volume-set': answer, 'volume-allow': answer });
    const err = 'rsadm: oracle@0 is for mars, not listed in [clients]: rsadm client add NAME lets a client connect\n';
    expect((await scene.run(['volume', 'create', 'oracle', '--size', '20g', '--clients', 'big-2,mars'])).err).toBe(err);
    expect((await scene.run(['volume', 'set', 'oracle', 'clients=big-2,mars'])).err).toBe(err);
    expect((await scene.run(['volume', 'set', 'oracle', 'shared=no'])).err, 'the clients are not changed').toBe('');
    expect(await scene.run(['volume', 'allow', 'oracle', 'mars'])).toEqual({ code: 0, out: 'mars may attach oracle@0\n', err });
    expect(scene.asked[0]).toEqual(['volume-create', { ...created, clients }]);
  });

  test('a refusal of rssrv is one line, and control characters in it are escaped', async () => {
    await scene.serve({ 'volume-create': refusing('E_SPACE', 'Pool fast has no room\u001b[2J: remove a volume') });
    const err = 'rsadm: Pool fast has no room\\x1b[2J: remove a volume [E_SPACE]\n';
    expect(await scene.run(['volume', 'create', 'oracle', '--size', '20g'])).toEqual({ code: 1, out: '', err });
  });
});

describe('wrong usage', () => {
  const NAMES = '1 to 63 of the characters A-Z a-z 0-9 _ . - (but not ".", "..", all, none, yes or no)';
  const SIZES = 'a size from 512 to 8589934591m: a whole number of bytes, or a whole number with the unit k, m, g, t or p (powers of 1024)';

  test.each<[string[], string]>([
    [['volume', 'create', 'x'], 'No --size: give the size of the volume, such as 20g'],
    [['volume', 'create', 'x', '--size', '0'], `Wrong --size "0": allowed is ${SIZES}`],
    [['volume', 'create', 'x', '--size', '1.5g'], `Wrong --size "1.5g": allowed is ${SIZES}`],
    [['volume', 'create', 'x', '--size', '1g', '--block-size', ''], 'Wrong --block-size "": allowed is 512 or 4096'],
    [['volume', 'create', 'x', '--size', '1g', '--block-size', '\u001b'], 'Wrong --block-size "\\u001b": allowed is 512 or 4096'],
    [['volume', 'create', 'x', '--size', '1g', '--pool', ''], `Wrong --pool "": allowed is ${NAMES}`],
    [
      ['volume', 'create', 'x', '--size', '1g', '--clients', 'a,,b'],
      'Wrong --clients "a,,b": allowed is all, or names separated by commas or spaces',
    ],
    [['volume', 'create', 'osl:x', '--size', '1g'], `Wrong volume name "osl:x": the name is ${NAMES}, optionally followed by @UNIVERSE`],
    [['volume', 'grow', 'x', '+1g'], `Wrong SIZE "+1g": allowed is ${SIZES}`],
    [['volume', 'list', '--pool', 'a b'], `Wrong --pool "a b": allowed is ${NAMES}`],
    [['volume', 'rename', 'x', 'x@0'], 'Volume x@0 already has this name: give another one'],
    [['pool', 'check', 'a\nb'], `Wrong NAME "a\\nb": allowed is ${NAMES}`],
    [['pool', 'add', 'slow', 'srv/slow'], 'Wrong PATH "srv/slow": give an absolute path'],
    [
      ['pool', 'add', 'slow'],
      'Too few arguments for pool add: use rsadm pool add NAME PATH [--limit SIZE] [--overcommit P] [--reserve P%] [--no-holders] [--disk DISK --fence FENCE --owners A,B] [--take-over-after T]',
    ],
    [
      ['volume', 'replicate'],
      'Too few arguments for volume replicate: use rsadm volume replicate NAME... --to [POOL@]CLIENT --every TIME [--keep N] [--limit RATE] [--reversible PEER] or rsadm volume replicate NAME... --end [--force]',
    ],
    [['client', 'add'], 'Too few arguments for client add: use rsadm client add NAME [--key-file F|-] [--rights R]'],
    [['status', 'x'], 'Unexpected argument x: this command takes no names'],
    [['client', 'list', '--size', '1g'], '--size is valid only with volume create'],
    [
      ['frobnicate'],
      'Unknown command frobnicate: the commands begin with status, stats, progress, events, audit, reload, ready-to-restart, support, check, init, rename, identity, control-group, operate-group, admin-group, interface, namespace, apply, drift, pool, farm, volume, jobs, client, witness, peer, appliance or completion',
    ],
    [['volum', 'list'], 'Unknown command volum: did you mean volume?'],
    [
      ['pool'],
      'Incomplete command pool: give pool list, pool add, pool set, pool move, pool grow, pool release, pool remove or pool check',
    ],
    [['pool', 'set', 'fast', 'limit'], 'Wrong setting "limit": give KEY=VALUE'],
    [['pool', 'set', 'fast', 'path=/x'], 'A pool keeps its path: remove the pool, and add it at the other path'],
    [['namespace', 'set'], 'Nothing to set: give KEY=VALUE, such as explore=signed'],
    [['namespace', 'set', 'namespacekey=x'], 'A key on the command line is visible to every user: give --namespacekey-file F'],
    [['completion', 'zsh'], 'No completion for zsh: there is one for bash'],
  ])('%j', async (argv, message) => {
    await scene.serve();
    expect(await scene.run(argv)).toEqual({ code: 2, out: '', err: `rsadm: ${message}, see rsadm --help [E_USAGE]\n` });
    expect(scene.asked).toEqual([]);
    expect(scene.config()).toBe(CONFIG);
  });
});

test('without rssrv one line says how to start it', async () => {
  const err =
    'rsadm: rssrv is not running, nothing listens on ROOT/run/rsio/rssrv/control: start it with: rssrv --root ROOT [E_NOT_RUNNING]\n';
  for (const argv of [[], ['reload'], ['volume', 'list'], ['volume', 'remove', 'x', '--yes'], ['pool', 'add', 'slow', '/srv/slow']])
    expect(await scene.run(argv)).toEqual({ code: 1, out: '', err });
  expect(scene.config()).toBe(CONFIG);
});

describe('--help', () => {
  test('has every command once, in groups, in at most 80 columns', async () => {
    const { out } = await scene.run(['--help']);
    expect(out.match(/^[A-Z].*:$/gm)).toEqual([
      'Server:',
      'Network:',
      'Pools:',
      'Volumes:',
      'Clients:',
      'Mirrors:',
      'Peers:',
      'Appliance:',
      'Shell:',
      'Options:',
    ]);
    for (const { synopsis, summary } of COMMANDS) {
      const at = out.indexOf(`\n  ${synopsis.split('\n')[0]}`);
      expect(at, synopsis).toBeGreaterThan(0);
      expect(out.indexOf(summary, at), summary).toBeGreaterThan(at);
    }
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test('of volume ends with which command one wants; every command that it names exists', async () => {
    const { out } = await scene.run(['volume', '--help']);
    const [, after = ''] = out.split('Which one do I want?\n');
    const [guide = ''] = after.split('\n\n');
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    const named = [...guide.matchAll(/(?: {2}|, |rsadm )(volume [a-z]+)/g)].map(([, words]) => words);
    expect(named.length).toBeGreaterThan(6);
    expect(COMMANDS.map(({ call }) => shownCall(call))).toEqual(expect.arrayContaining(named));
    expect((await scene.run(['volume', 'copy', '--help'])).out).not.toContain('Which one do I want?');
  });

  test.each(COMMANDS.map((command) => [shownCall(command.call), command] as const))(
    'of %s names each of its options, in at most 80 columns',
    async (call, command) => {
      const { code, out } = await scene.run([...call.split(' '), '--help']);
      expect(code).toBe(0);
      expect(out.startsWith(`usage: rsadm ${command.synopsis.split('\n')[0]}\n`)).toBe(true);
      for (const option of Object.keys(command.options)) expect(out).toMatch(new RegExp(`^ .*--${option}\\b`, 'm'));
      for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    },
  );
});
