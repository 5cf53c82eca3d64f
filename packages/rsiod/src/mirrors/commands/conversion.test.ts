// Tests the command that makes a plain volume a mirror: refusals before anything is created, and the messages. creation.test.ts tests the
// steps and their failures, and test/integration/mirror.test.ts tests a real conversion.

import { beforeEach, expect, test } from 'vitest';
import { type Failure, ScriptedServer } from '../../testing/mirror-servers.ts';
import { convertVolume } from './conversion.ts';
import { MirrorManagement } from './management.ts';

const GIB = 1024 ** 3;
const WISH = { namespace: null, name: 'db', universe: 0, server: 'big-8', pool: null, request: 'id-1' };

let servers: ScriptedServer[];
let attached: string[];
let steps: string[];
let fails: (step: string) => boolean;

beforeEach(() => {
  [attached, steps] = [[], []];
  fails = () => false;
  const script = (step: string): Failure | null => {
    steps.push(step);
    return fails(step) ? 'refused' : null;
  };
  servers = ['big-9', 'big-8', 'pi-1'].map((name, index) => new ScriptedServer(name, index + 1, script));
  servers[0]!.stock.set('db@0', { sizeBytes: GIB, request: 'of-long-ago', mark: null });
});

function setup() {
  const log = { info: () => undefined, warn: () => undefined };
  const isAttached = (label: string): boolean => attached.includes(label);
  const newId = (): string => 'id-of-rsiod';
  const namespaces = () => [{ name: 'osl', nodename: 'big-2', servers, unreached: [] }];
  const management = new MirrorManagement({ log, namespaces, isAttached, mirrors: { serving: () => null }, statusAt: () => null, newId });
  return { log, management, isAttached, newId };
}

function convert(wish: Partial<typeof WISH> = {}) {
  return convertVolume(setup(), { ...WISH, ...wish });
}

test('the volume is the replica in sync, the other server gets the data later, and that is said', async () => {
  const { mirror, warnings, left } = await convert();
  expect(mirror).toMatchObject({ name: 'db', sizeBytes: GIB, state: 'known', majority: 2, holder: null });
  expect(mirror.replicas.map(({ server, inSync }) => [server, inSync])).toEqual([
    ['big-9', true],
    ['big-8', false],
  ]);
  expect([warnings, left]).toEqual([
    [
      'Server big-8 gets the data when a client attaches the mirror: rsconfig -a osl:db@0',
      expect.stringContaining('rsconfig mirror witness adds a third voter'),
    ],
    [],
  ]);
  expect(servers[0]?.stock.get('db@0')?.request).toBe('of-long-ago');
});

test.each<[string, () => void, Partial<typeof WISH>, string, RegExp]>([
  ['attached here', () => attached.push('osl:db@0'), {}, 'E_IN_USE', /is attached here: .*rsconfig -d osl:db@0/],
  ['not known', () => undefined, { name: 'other' }, 'E_UNKNOWN_VOLUME', /offers a volume other@0/],
  ['of the same server', () => undefined, { server: 'big-9' }, 'E_USAGE', /big-9 has volume osl:db@0 itself/],
  ['for a server that is not known', () => undefined, { server: 'big-5' }, 'E_USAGE', /No server "big-5"/],
  [
    'on two servers',
    () => servers[2]!.stock.set('db@0', { sizeBytes: GIB, request: '', mark: null }),
    {},
    'E_AMBIGUOUS',
    /that of server big-9 of osl, that of server pi-1 of osl/,
  ],
])('a volume %s is refused before anything is made', async (_, prepare, wish, code, message) => {
  prepare();
  await expect(convert(wish)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  expect(steps).toEqual([]);
});

test.each(['big-9 claim', 'big-8 place', 'big-9 config'])(
  'after a stop at %s, removing the mirror makes the volume a plain one again',
  async (at) => {
    let hasStopped = false;
    fails = (step) => (hasStopped ||= step === at);
    await expect(convert()).rejects.toThrow('was not made');
    fails = () => false;
    const about = { namespace: null, name: 'db', universe: 0, volumes: false, force: false, id: null };
    const isMarked = servers[0]?.stock.get('db@0')?.mark !== null;
    const removed = isMarked ? await setup().management.remove(about) : null;
    expect(removed?.left ?? []).toEqual([]);
    expect(servers[0]?.stock.get('db@0')).toEqual({ sizeBytes: GIB, request: 'of-long-ago', mark: null });
  },
);
