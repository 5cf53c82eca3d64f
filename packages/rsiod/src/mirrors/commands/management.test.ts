// Tests the control methods about mirrors on scripted servers: checks before anything is created, lists with voters that do not answer or
// have lost their records, and remains of a removal. creation.test.ts tests the steps of a creation. Rules: G34.

import { RsError } from '@rsio/base/lib/errors';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Failure, ScriptedServer } from '../../testing/mirror-servers.ts';
import { MirrorManagement } from './management.ts';

const GIB = 1024 ** 3;
const WISH = {
  namespace: null,
  name: 'db',
  universe: 0,
  sizeBytes: GIB,
  blockSizeBytes: 512,
  pool: null,
  request: 'id-1',
  servers: ['big-9', 'big-8'],
  witness: 'pi-1',
};
const NAMED = { namespace: null, name: 'db', universe: 0, volumes: false, force: false, id: null };

let servers: ScriptedServer[];
let fails: (step: string) => Failure | null;
let attached: string[];
let steps: string[];

beforeEach(() => {
  fails = () => null;
  [attached, steps] = [[], []];
  servers = ['big-9', 'big-8', 'pi-1', 'big-7'].map(
    (name, index) =>
      new ScriptedServer(name, index + 1, (step) => {
        steps.push(step);
        return fails(step);
      }),
  );
});

function management(namespaces = [{ name: 'osl', nodename: 'big-2', servers, unreached: [] as string[] }]): MirrorManagement {
  let ids = 0;
  return new MirrorManagement({
    log: { info: () => undefined, warn: () => undefined },
    namespaces: () => namespaces,
    isAttached: (label) => attached.includes(label),
    mirrors: { serving: () => null },
    statusAt: () => null,
    newId: () => `id-of-rsiod-${++ids}`,
  });
}

/** Another client attaches the mirror: it claims the mirror at all voters and stores a configuration. */
function attachedBy(node: string, isClean = false): void {
  for (const { records } of servers)
    for (const record of records.values()) {
      const term = { number: (record.promise?.number ?? 0) + 1, node, instance: 5 };
      record.promise = term;
      record.stored = { term, config: { ...record.stored!.config, clean: isClean } };
    }
}

function goesDown(name: string): void {
  const server = servers.find((one) => one.name === name)!;
  server.trouble = new RsError('E_NO_PATH', `Server ${name} of osl is not connected`);
}

const left = (): string[][] => servers.map((server) => server.left);

describe('before anything is made', () => {
  test.each<[string, Partial<typeof WISH>, string, RegExp]>([
    ['one server', { servers: ['big-9'] }, 'E_USAGE', /2 or 3 replicas, not 1/],
    ['four servers', { servers: ['big-9', 'big-8', 'pi-1', 'big-7'] }, 'E_USAGE', /not 4/],
    ['the same server twice', { servers: ['big-9', 'big-9'] }, 'E_USAGE', /Server big-9 is named twice/],
    ['a witness that has a replica', { witness: 'big-8' }, 'E_USAGE', /Server big-8 is named twice/],
    ['a witness beside three replicas', { servers: ['big-9', 'big-8', 'big-7'] }, 'E_USAGE', /needs no witness/],
    ['a server that is not known', { servers: ['big-9', 'big-5'] }, 'E_USAGE', /No server "big-5".*known are big-9, big-8, pi-1, big-7/],
    ['a namespace that is not known', { namespace: 'lab' as never }, 'E_USAGE', /no namespace "lab"/],
    [
      'a pool of a server without a replica',
      { pools: [{ server: 'pi-1', pool: 'p2' }] } as never,
      'E_USAGE',
      /Pool p2 is named for server pi-1, which has no replica/,
    ],
    ['a size that is no number of blocks', { sizeBytes: GIB + 512, blockSizeBytes: 4_096 }, 'E_USAGE', /no multiple/],
  ])('%s is refused', async (_, wish, code, message) => {
    const refusal = management().create({ ...WISH, ...wish });
    await expect(refusal).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(steps).toEqual([]);
  });

  test('a server that is down, or has no mirrors, is named', async () => {
    goesDown('pi-1');
    await expect(management().create(WISH)).rejects.toMatchObject({ code: 'E_NO_PATH' });
    servers[2]!.trouble = new RsError('E_VERSION', 'Server pi-1 of osl has no mirrors: update it');
    await expect(management().create(WISH)).rejects.toMatchObject({ code: 'E_VERSION' });
    expect(steps).toEqual([]);
  });

  test('a server that may be one that was not reached yet is awaited by the caller', async () => {
    const starting = [{ name: 'osl', nodename: 'big-2', servers: servers.slice(0, 2), unreached: ['pi-1-1'] }];
    await expect(management(starting).create(WISH)).rejects.toMatchObject({
      code: 'E_NO_PATH',
      message: expect.stringContaining('Server "pi-1" of namespace osl was not reached yet, and neither was pi-1-1') as string,
    });
  });

  test('a volume of this name on another server makes the name ambiguous', async () => {
    await servers[3]?.callAdmin('volume-create', { name: 'db', universe: 0 });
    await expect(management().create(WISH)).rejects.toMatchObject({
      code: 'E_EXISTS',
      message: 'Volume osl:db@0 exists on server big-7: choose another name',
    });
  });

  test('servers of two namespaces', async () => {
    const two = [
      { name: 'osl', nodename: 'big-2', servers: servers.slice(0, 2), unreached: [] },
      { name: 'lab', nodename: 'big-2', servers: servers.slice(2), unreached: [] },
    ];
    await expect(management(two).create(WISH)).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(management(two).create({ ...WISH, witness: null as never })).resolves.toBeDefined();
  });

  test('a change of a mirror excludes another one of the same mirror', async () => {
    const mirrors = management();
    const first = mirrors.create(WISH);
    await expect(mirrors.create(WISH)).rejects.toMatchObject({ code: 'E_BUSY' });
    await first;
  });
});

test('a mirror without a witness is made with a warning', async () => {
  const { mirror, warnings } = await management().create({ ...WISH, witness: null as never });
  expect(mirror).toMatchObject({ majority: 2, voters: [{ server: 'big-9' }, { server: 'big-8' }], holder: null });
  expect(warnings).toEqual([expect.stringMatching(/no witness: if big-9 or big-8 fails, the volume stops/)]);
  const three = await management().create({ ...WISH, name: 'other', servers: ['big-9', 'big-8', 'big-7'], witness: null as never });
  expect(three.warnings).toEqual([]);
});

test('the same request makes one mirror', async () => {
  const first = await management().create(WISH);
  const second = await management().create(WISH);
  expect(second.mirror.mirror).toBe(first.mirror.mirror);
  expect(left()).toEqual([['volume db@0', 'mark', 'record'], ['volume db@0', 'mark', 'record'], ['record'], []]);
});

describe('the list', () => {
  test('has what the voters know', async () => {
    const { mirror } = await management().create(WISH);
    const { mirrors, gaps } = await management().list({ namespace: null });
    expect({ mirrors, gaps }).toEqual({ mirrors: [mirror], gaps: [] });
    expect(mirror).toMatchObject({ state: 'known', sizeBytes: GIB, majority: 2 });
    expect(mirror.replicas.map((one) => [one.server, one.inSync, one.isReachable])).toEqual([
      ['big-9', true, true],
      ['big-8', true, true],
    ]);
    attachedBy('big-6');
    expect((await management().list({ namespace: 'osl' })).mirrors[0]).toMatchObject({ holder: 'big-6' });
    attachedBy('big-6', true);
    expect((await management().list({ namespace: 'osl' })).mirrors[0]).toMatchObject({ holder: null });
    expect(steps.filter((step) => /claim/.test(step))).toHaveLength(3);
  });

  test('names a server that is down, and a voter that has lost its record', async () => {
    await management().create(WISH);
    goesDown('big-8');
    servers[2]!.records.clear();
    const { mirrors, gaps } = await management().list({ namespace: null });
    expect(mirrors[0]?.replicas.map(({ isReachable }) => isReachable)).toEqual([true, false]);
    expect(mirrors[0]?.voters.map(({ trouble }) => trouble)).toEqual([null, 'Server big-8 of osl is not connected', 'No record']);
    expect(mirrors[0]?.voters.map(({ isSilent }) => isSilent)).toEqual([false, true, false]);
    expect(mirrors[0]?.replicas.map(({ isSilent }) => isSilent)).toEqual([false, true]);
    expect(gaps).toEqual(['Server big-8 of osl is not connected']);
    await servers[2]?.vote({ kind: 'found', mirror: mirrors[0]!.mirror, name: 'db', universe: 0 });
    const again = await management().list({ namespace: null });
    expect(again.mirrors[0]?.voters[2]?.trouble).toBe('The server has lost its record of the mirror');
  });

  test('asks a server that is silent once', async () => {
    await management().create(WISH);
    for (let index = 0; index < 9; index++) await management().create({ ...WISH, name: `db${index}` });
    steps = [];
    fails = (step) => (step === 'pi-1 record' ? 'refused' : null);
    const { mirrors } = await management().list({ namespace: null });
    expect(mirrors).toHaveLength(10);
    // After the first question failed, no further question was sent. At most MIRRORS_ASKED_AT_ONCE_MAX questions were in progress at that
    // time.
    expect(steps.filter((step) => step === 'pi-1 record').length).toBeLessThanOrEqual(4);
  });

  test('shows a mirror that was not made to the end', async () => {
    let hasStopped = false;
    fails = (step) => {
      hasStopped ||= step === 'pi-1 config' || step.endsWith('config');
      return hasStopped ? 'refused' : null;
    };
    await expect(management().create(WISH)).rejects.toThrow(/may still have a replica/);
    fails = () => null;
    const { mirrors } = await management().list({ namespace: null });
    expect(mirrors).toMatchObject([{ state: 'unfinished', name: 'db', sizeBytes: null, holder: null }]);
    const removed = await management().remove({ ...NAMED, volumes: true });
    expect(removed.left).toEqual([]);
    expect(left()).toEqual([[], [], [], []]);
  });
});

describe('removing', () => {
  test('leaves plain volumes, and says which has everything', async () => {
    await management().create(WISH);
    for (const { records } of servers)
      for (const record of records.values()) {
        const [first = ''] = record.stored!.config.inSync;
        record.stored = { ...record.stored!, config: { ...record.stored!.config, inSync: [first] } };
      }
    const { volumes, left: rest } = await management().remove(NAMED);
    expect(volumes.map((one) => [one.server, one.inSync, one.isRemoved])).toEqual([
      ['big-9', true, false],
      ['big-8', false, false],
    ]);
    expect(rest).toEqual([]);
    // The volume is renamed, because a client could otherwise attach it by mistake.
    expect(left()).toEqual([['volume db@0'], ['volume db-detached@0'], [], []]);
  });

  test('with --volumes leaves nothing', async () => {
    await management().create(WISH);
    const { volumes } = await management().remove({ ...NAMED, volumes: true });
    expect(volumes.every(({ isRemoved }) => isRemoved)).toBe(true);
    expect(left()).toEqual([[], [], [], []]);
    await expect(management().remove(NAMED)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  });

  test.each<[string, string, string, RegExp]>([
    ['another client', 'big-6', 'E_HELD', /Client big-6 has mirror osl:db@0 attached/],
    ['this client', 'big-2', 'E_IN_USE', /has not detached mirror osl:db@0/],
  ])('is refused while %s has the mirror, and changes nothing', async (_, node, code, message) => {
    await management().create(WISH);
    attachedBy(node);
    steps = [];
    for (const volumes of [false, true])
      await expect(management().remove({ ...NAMED, volumes })).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message) as string,
      });
    expect(steps.filter((step) => !step.endsWith('record'))).toEqual([]);
    await management().remove({ ...NAMED, force: true, volumes: true });
    expect(left()).toEqual([[], [], [], []]);
  });

  test('is refused while it is attached here, also with force', async () => {
    await management().create(WISH);
    attached = ['osl:db@0'];
    await expect(management().remove({ ...NAMED, force: true })).rejects.toMatchObject({ code: 'E_IN_USE' });
  });

  // Regression: the witness had already promised a command's term when the servers with replicas refused the term. Because of this promise,
  // the holder later lost the mirror.
  test('claims the witness only when the servers with replicas have let it', async () => {
    await management().create(WISH);
    attachedBy('big-6');
    steps = [];
    fails = (step) => (step === 'big-8 claim' ? 'refused' : null);
    await expect(management().remove({ ...NAMED, force: true })).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    expect(steps.filter((step) => step.endsWith('claim'))).toEqual(['big-9 claim', 'big-8 claim']);
    expect(servers[2]?.records.values().next().value?.promise).toMatchObject({ node: 'big-6' });
  });

  test('needs most voters, because another client may have it', async () => {
    await management().create(WISH);
    goesDown('big-8');
    servers[2]!.records.clear();
    await expect(management().remove(NAMED)).rejects.toMatchObject({
      code: 'E_NO_PATH',
      message: expect.stringContaining('big-8 and pi-1 are missing') as string,
    });
  });

  test('names what a server that is down keeps, and removes it later', async () => {
    await management().create(WISH);
    goesDown('big-8');
    const { left: rest } = await management().remove({ ...NAMED, volumes: true });
    expect(rest).toEqual([expect.stringMatching(/^big-8 was not asked .*rsconfig mirror remove osl:db@0 --volumes --force/)]);
    servers[1]!.trouble = null;
    await expect(management().remove({ ...NAMED, volumes: true })).rejects.toMatchObject({ code: 'E_NO_PATH' });
    await management().remove({ ...NAMED, volumes: true, force: true });
    expect(left()).toEqual([[], [], [], []]);
  });

  test('of a server that has lost its record needs force, which founds it again', async () => {
    await management().create(WISH);
    servers[1]!.records.clear();
    await expect(management().remove(NAMED)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
    await management().remove({ ...NAMED, force: true });
    expect(left()).toEqual([['volume db@0'], ['volume db-detached@0'], [], []]);
  });

  test.each(['big-9 claim', 'pi-1 claim', 'big-8 unplace', 'big-9 dismiss', 'pi-1 dismiss', 'big-8 volume-remove'])(
    'that fails at %s can be repeated, or names what is left',
    async (failing) => {
      await management().create(WISH);
      for (const failure of ['refused', 'lost'] as const) {
        let isOver = false;
        fails = (step) => {
          if (isOver || step !== failing) return null;
          isOver = true;
          return failure;
        };
        const said = await management()
          .remove({ ...NAMED, volumes: true })
          .then(
            ({ left: rest }) => rest,
            (thrown: unknown) => [(thrown as Error).message],
          );
        expect(said).not.toEqual([]);
        fails = () => null;
        if (servers.slice(0, 2).some((server) => server.left.includes('mark')))
          await management().remove({ ...NAMED, volumes: true, force: true });
        const things = new Set(left().flat());
        for (const thing of things)
          expect([thing, said.join('; ')]).toEqual([thing, expect.stringMatching(/witness remove|volume remove/)]);
        for (const server of servers) {
          server.records.clear();
          server.stock.clear();
        }
        await management().create({ ...WISH, request: `again-${failure}` });
      }
    },
  );
});
