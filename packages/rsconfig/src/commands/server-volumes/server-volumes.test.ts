// Tests the commands about the volumes of servers, from arguments to output: the requests to the server, the output, and every refusal. The
// choice of the server is in chosen-server.test.ts, `create --attach` in create-attach.test.ts, and the list in volume-list.test.ts. Real
// daemons are in test/integration/client-volumes.test.ts.

import { ownCommand } from '@rsio/api/manage/derived';
import type { StoredCommand } from '@rsio/api/rssrv/method-command';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import type { AwaitedView } from '@rsio/api/rsiod/methods';
import { misfit } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { snapshot, volume } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../command-table.ts';
import { shownCall } from '@rsio/common/cli/command';
import { SLOW_CALL_MS } from '../../limits.ts';
import { attachment, namespace, volume as offer } from '../../testing/views.ts';
import { daemon, run } from '../../testing/rsconfig-run.ts';
import { AT, BIG_9, DOWN, GIB, ORACLE, ORDERS, asked, machine, serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';

useServerVolumes();

const MIRROR = 'a'.repeat(32);
const awaited = (changes: Partial<AwaitedView>): AwaitedView => ({
  namespace: 'osl',
  name: 'oracle',
  universe: 0,
  id: attachment().id,
  readonly: false,
  server: 'big-9',
  reason: 'Server big-9 is away',
  ...changes,
});

const refusing = (): never => {
  throw new RsError('E_BUSY', 'it exists');
};

describe('with one server, each command sends one request with an id and prints the answer', () => {
  test.each<[string, string, string]>([
    ['volume grow oracle 40g', `${AT} volume-grow {${ORACLE},"sizeBytes":${40 * GIB},"request":"id-1"}`, 'osl:oracle@0 now has 40.0G\n'],
    [
      'volume grow osl:oracle@0 40g',
      `${AT} volume-grow {${ORACLE},"sizeBytes":${40 * GIB},"request":"id-1"}`,
      'osl:oracle@0 now has 40.0G\n',
    ],
    [
      'volume rename oracle osl:data@1',
      `${AT} volume-rename {${ORACLE},"newName":"data","newUniverse":1,"request":"id-1"}`,
      'osl:oracle@0 is now osl:data@1\n',
    ],
    ['volume restore oracle', `${AT} volume-restore {${ORACLE},"request":"id-1"}`, 'osl:oracle@0 restored in pool fast of server big-9\n'],
    [
      'volume remove oracle --yes --server big-9',
      `${AT} volume-remove {${ORACLE},"request":"id-1"}`,
      'osl:oracle@0 removed; until 1970_01_02-00:00:00 (GMT), rsconfig volume restore oracle brings it back\n',
    ],
  ])('%s', async (line, request, out) => {
    await serve();
    expect(await run(line)).toEqual({ code: 0, out, err: '' });
    expect(asked).toEqual([request]);
  });

  test('snapshots of several volumes are one request, and those of another server are refused', async () => {
    await serve([BIG_9, machine('big-5', {}, {}, 'lab')]);
    const { out } = await run('volume snapshot osl:oracle@monday osl:data@1@monday');
    expect(out).toBe('osl:oracle@0@monday made, 20.0G\nosl:data@1@monday made, 20.0G\n');
    expect(asked).toEqual([
      `${AT} volume-snapshot {"snapshots":[{${ORACLE},"snapshot":"monday"},{"name":"data","universe":1,"snapshot":"monday"}],"request":"id-1"}`,
    ]);
    const { code, err } = await run('volume snapshot osl:oracle@monday lab:data@monday');
    expect(code).toBe(2);
    expect(err).toContain('osl:oracle@0 is on server big-9 and lab:data@0 on big-5: snapshots of one moment are of one server');
  });

  test.each([
    ['is made', {}, null],
    ['is not made', { 'volume-snapshot': refusing }, 'it exists'],
  ])('rsiod hears of a snapshot before and after it %s', async (_what, orders, error) => {
    const heard: object[] = [];
    await serve([machine('big-9', orders)], {
      'snapshot-begin': (params) => {
        heard.push(params);
        return { ticket: 7 };
      },
      'snapshot-end': (params) => {
        heard.push(params);
        return { ended: false };
      },
    });
    const { code, err } = await run('volume snapshot oracle@monday');
    expect(code).toBe(error === null ? 0 : 1);
    expect(err).toContain('The triggers with snapshot-after were started too early');
    const snapshots = [{ namespace: 'osl', name: 'oracle', universe: 0, snapshot: 'monday' }];
    expect(heard).toEqual([
      { snapshots, pid: process.pid },
      { ticket: 7, error: error === null ? null : expect.stringContaining(error) },
    ]);
  });

  // Regression: if the program of a trigger did not end, the command waited for up to a minute without a message.
  test.each(['before', 'after'])('a command that waits long for triggers %s the snapshot says so', async (when) => {
    const clock = new FakeClock();
    const slowIf = (isSlow: boolean): void => clock.advance(isSlow ? SLOW_CALL_MS : 0);
    await serve([BIG_9], {
      'snapshot-begin': () => {
        slowIf(when === 'before');
        return { ticket: 7 };
      },
      'snapshot-end': () => {
        slowIf(when === 'after');
        return { ended: true };
      },
    });
    const { code, err } = await run('volume snapshot oracle@monday', { clock });
    expect([code, err]).toEqual([
      0,
      `rsconfig: rsiod waits for the programs that its triggers start ${when} the snapshot: the log of rsiod has what they say\n`,
    ]);
  });

  test('a volume that is attached here is not rolled back, and may lose a snapshot', async () => {
    const attachments = [attachment({ namespace: 'osl', name: 'oracle', universe: 0 })];
    await serve([BIG_9], { local: () => ({ attachments, awaited: [] }) });
    expect((await run('volume rollback oracle@monday')).err).toContain('osl:oracle@0 is attached here: detach it first');
    expect((await run('volume remove oracle@monday --yes')).out).toBe('osl:oracle@0@monday removed\n');
  });

  test('show and set print the details with the server', async () => {
    await serve();
    const { out } = await run('volume show oracle');
    expect(out).toMatch(/^osl:oracle@0\n {4}id:/);
    expect(out).toContain('    server:    big-9\n    pool:      fast\n');
    expect((await run('volume set oracle readonly=yes')).out).toContain('mode:      read-only');
    expect(asked.at(-1)).toBe(`${AT} volume-set {${ORACLE},"settings":["readonly=yes"],"request":"id-1"}`);
  });

  test('create says in which pool of which server', async () => {
    await serve();
    const { code, out, err } = await run('volume create db@2 --size 20g --pool fast --thick --shared --read-only --block-size 4096');
    expect({ code, out, err }).toEqual({ code: 0, out: 'osl:db@2 created in pool fast of server big-9, 20.0G\n', err: '' });
    expect(asked).toHaveLength(1);
    expect(JSON.parse(asked[0]?.replace(/^.*?\{/, '{') ?? '')).toEqual({
      name: 'db',
      universe: 2,
      sizeBytes: 20 * GIB,
      blockSizeBytes: 4096,
      pool: 'fast',
      thick: true,
      readonly: true,
      shared: true,
      clients: null,
      takeOver: null,
      takeOverForce: false,
      request: 'id-1',
    });
  });

  test('a refusal of the server is printed as it is', async () => {
    const refuse = (): never => {
      throw new RsError('E_RIGHTS', 'Client big-6 may not create volumes: its right is use, and manage is needed');
    };
    await serve([machine('big-9', { 'volume-create': refuse })]);
    const err = 'rsconfig: Client big-6 may not create volumes: its right is use, and manage is needed [E_RIGHTS]\n';
    expect(await run('volume create db --size 1g')).toEqual({ code: 1, out: '', err });
  });

  test('an asker that may not see the clients gets no note about unknown ones', async () => {
    const refuse = (): never => {
      throw new RsError('E_RIGHTS', 'Client big-6 may not list clients');
    };
    await serve([machine('big-9', { 'client-list': refuse, 'volume-create': () => ({ volume: volume({ clients: ['nobody'] }) }) })]);
    expect((await run('volume create oracle --size 1g --clients nobody')).err).toBe('');
  });

  test.each(['volume create oracle --size 1g', 'volume grow oracle 40g', 'volume show oracle', 'volume restore oracle', 'volume list'])(
    '%s: no control character of a hostile server reaches the terminal',
    async (line) => {
      const hostile = {
        volume: volume({ name: 'x\u001b[2J\nosl:y@0 created', pool: 'p\u009b' }),
        snapshots: [snapshot({ snapshot: 'x\u009b' })],
      };
      const orders = Object.fromEntries(Object.keys(ORDERS).map((method) => [method, () => hostile]));
      await serve([machine('big-9', { ...orders, 'volume-list': () => ({ volumes: [hostile.volume], removed: [] }) })]);
      const { code, out } = await run(line);
      expect(code).toBe(0);
      expect(out).toContain('x\\x1b[2J\\nosl:y@0 created');
      for (const control of ['\u001b', '\u009b']) expect(out).not.toContain(control);
    },
  );

  test('an answer of another form is refused with the release as the reason', async () => {
    await serve([machine('big-9', { 'volume-show': () => ({ volume: { name: 7 } }) })]);
    expect((await run('volume show oracle')).err).toContain('Server big-9 has another release: its answer to volume-show has another form');
  });
});

/** Commands that follow from the entry of a method; derived.test.ts tests them. */
const DERIVED = Object.values(SERVER_METHODS).map(({ command }) =>
  ownCommand<StoredCommand>(command)?.words.replace(/^jobs/, 'volume jobs'),
);

test.each(
  COMMANDS.filter(
    ({ call, json }) => shownCall(call).startsWith('volume ') && !DERIVED.includes(shownCall(call)) && json !== undefined,
  ).map((one) => [shownCall(one.call), one] as const),
)('%s --json prints what its schema says, with namespace and server', async (call, command) => {
  await serve();
  const words: Readonly<Record<string, string>> = {
    'volume list': '',
    'volume create': ' db --size 1g --attach',
    'volume grow': ' oracle 40g',
    'volume rename': ' oracle data@1',
    'volume set': ' oracle readonly=yes',
    'volume allow': ' oracle venus',
    'volume revoke': ' oracle venus',
    'volume remove': ' oracle --yes',
    'volume purge': ' oracle --yes',
    'volume snapshot': ' oracle@monday',
    'volume clone': ' oracle@monday copy',
    'volume rollback': ' oracle@monday',
    'volume diff': ' oracle@monday',
    'volume image': ' oracle --universe 1',
    'volume refresh': ' oracle@0',
    'volume move': ' oracle --pool slow --background',
    'volume copy': ' oracle@monday test --background',
    'volume replicate': ' oracle --to big-8 --every 5m',
    'volume replications': '',
    'volume seed': ' oracle --from carried',
    'volume demote': ' oracle --for big-8 --yes',
    'volume jobs': '',
    'volume jobs cancel': ' 7',
    'volume jobs limit': ' 7 1m',
  };
  const { code, out } = await run(`${call}${words[call] ?? ' oracle'} --json`);
  expect(code).toBe(0);
  expect(misfit(command.json!, JSON.parse(out), 'exactly')).toBeNull();
  expect(out).toContain('"server": "big-9"');
});

describe('remove', () => {
  test('asks on a terminal with what will be lost, and removes nothing without a yes', async () => {
    await serve();
    let question = '';
    const answering = (answer: string) => ({
      ask: async (text: string) => {
        question = text;
        return answer;
      },
    });
    expect(await run('volume remove oracle', answering('n'))).toEqual({ code: 1, out: '', err: 'rsconfig: Nothing was removed\n' });
    expect(question).toBe('Remove volume osl:oracle@0, 20.0G, from pool fast of server big-9? [y/N] ');
    expect(asked.some((one) => one.includes('volume-remove'))).toBe(false);
    expect((await run('volume remove oracle', answering('y'))).code).toBe(0);
  });

  test('needs --yes without a terminal', async () => {
    await serve();
    const err = 'rsconfig: Removing needs consent: give --yes, see rsconfig --help [E_USAGE]\n';
    expect(await run('volume remove oracle')).toEqual({ code: 2, out: '', err });
    expect(asked).toEqual([]);
  });

  test('is refused while the volume is attached here, with the command that detaches it', async () => {
    await serve([BIG_9], { local: () => ({ attachments: [attachment()], awaited: [] }) });
    const err = 'rsconfig: osl:oracle@0 is attached here: detach it first (rsconfig -d osl:oracle@0) [E_IN_USE]\n';
    expect(await run('volume remove oracle --yes')).toEqual({ code: 1, out: '', err });
    expect(asked).toEqual([]);
  });

  // An interrupted `mirror detach` leaves a plain volume with the name of the attached mirror.
  test('is possible for a plain volume that has only the name of what is attached, and so is a roll back', async () => {
    const plain = offer({ name: 'oracle', id: 'plain' });
    for (const local of [
      { attachments: [attachment({ id: MIRROR })], awaited: [] },
      { attachments: [], awaited: [awaited({ id: MIRROR })] },
    ]) {
      await serve([machine('big-9', {}, { volumes: [plain] })], { local: () => local });
      expect(await run('volume remove oracle --server big-9 --yes')).toMatchObject({ code: 0, err: '' });
      expect(await run('volume rollback oracle@monday --server big-9')).toMatchObject({ code: 0, err: '' });
      expect(asked.splice(0)).toEqual([
        `${AT} volume-remove {${ORACLE},"request":"id-1"}`,
        `${AT} volume-rollback {${ORACLE},"snapshot":"monday","request":"id-1"}`,
      ]);
      await daemon?.close();
    }
  });

  test.each([
    ['the volume that is attached', { id: attachment().id }],
    ['a replica of the mirror that is attached', { id: 'replica', mirror: attachment().id }],
  ])('is refused for %s, also with --server', async (_, changes) => {
    const big9 = machine('big-9', {}, { volumes: [offer({ name: 'oracle', ...changes })] });
    await serve([big9], { local: () => ({ attachments: [attachment()], awaited: [] }) });
    expect(await run('volume remove oracle --server big-9 --yes')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/is attached here: detach it first/),
    });
    expect(asked).toEqual([]);
  });
});

test('if rsiod ends during a change, the change is sent again with the same id', async () => {
  const seen: unknown[] = [];
  const clock = new FakeClock();
  await serve([BIG_9], {
    'server-call': async ({ params }) => {
      seen.push((params as Readonly<Record<string, unknown>>)['request']);
      return new Promise(() => undefined);
    },
  });
  const running = run('volume grow oracle 40g', { clock });
  await expect.poll(() => seen.length, { timeout: 5_000, interval: 2 }).toBe(1);
  await daemon?.close();
  await serve();
  await expect
    .poll(
      () => {
        clock.advance(500);
        return asked.length;
      },
      { timeout: 5_000, interval: 2 },
    )
    .toBe(1);
  expect((await running).out).toBe('osl:oracle@0 now has 40.0G\n');
  expect([...seen, /"request":"(.*?)"/.exec(asked[0] ?? '')?.[1]]).toEqual(['id-1', 'id-1']);
});

test('a change that waits for a server that is down says so', async () => {
  let end = (): void => undefined;
  const clock = new FakeClock();
  let isDown = false;
  await serve([BIG_9], {
    query: () => ({ namespaces: [namespace({ servers: [isDown ? { ...DOWN.view, name: 'big-9' } : BIG_9.view] })] }),
    'server-call': ({ params }) => {
      asked.push('call');
      isDown = true;
      return new Promise((resolve) => {
        end = () =>
          resolve({ namespace: 'osl', server: 'big-9', result: ORDERS['volume-grow']?.(params as never) as Record<string, unknown> });
      });
    },
  });
  const running = run('volume grow oracle 40g', { clock });
  await expect.poll(() => asked.length, { timeout: 5_000, interval: 2 }).toBe(1);
  clock.advance(SLOW_CALL_MS);
  await expect.poll(() => clock.timersPending, { timeout: 5_000, interval: 2 }).toBeGreaterThan(0);
  end();
  expect(await running).toMatchObject({ code: 0, out: 'osl:oracle@0 now has 40.0G\n' });
});
