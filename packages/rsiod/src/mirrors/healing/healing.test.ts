// Tests the executor of healing with the clock of the test: what is announced and when, that a server that comes back begins anew, that one
// replacement runs at a time, that a spare that refuses is passed over, and that a replacement that failed in the middle is gone on with.
// Also tests the comparisons at an interval.

import { pool } from '@rsio/api/testing/server-views';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { MirrorView } from '@rsio/protocol/mirror/membership/interface';
import { expect, test } from 'vitest';
import { HEALING_LOOK_MS, HEALING_RETRY_MS } from '../limits.ts';
import { type HealedMirror, MirrorHealing } from './healing.ts';
import type { MirrorServer } from '../commands/mirror-server.ts';

const [MINUTE_MS, HOUR_MS] = [60_000, 3_600_000];
const SERVERS = ['s1', 's2', 's3', 's4', 's5'];

const REPORT = {
  ...{ volume: '', isRunning: true, stopped: null, waitsFor: null, comparedBytes: 1_024, sizeBytes: 1_024 },
  ...{ differentBytes: 512, repairedBytes: 0, ranges: [], unreadBytes: 0, unread: null },
};

interface Member {
  readonly server: number;
  readonly role: 'member' | 'returning';
  readonly session: 'open' | 'none';
}

class Scene {
  readonly clock = new FakeClock();
  readonly away = new Set<string>();
  /** How often each server has connected. */
  proofs = 1;
  readonly done: string[] = [];
  readonly events: string[] = [];
  members: readonly Member[] = [1, 2].map((server) => ({ server, role: 'member', session: 'open' }));
  settings: HealedMirror['settings'] = { replaceAfterMs: HOUR_MS, spares: ['s4', 's5'], verifyEveryMs: null };
  verification: HealedMirror['verification'] = null;
  /** The mirror that has a third replica, on s5, which is being copied; null: none has. */
  copying: string | null = null;
  /** Servers whose pools have no room. */
  readonly full = new Set<string>();
  /** Servers at which a replacement fails when the old replica is removed. */
  readonly stopsAfterRemoval = new Set<string>();
  /** The lost server still votes. */
  isVoter = true;
  /** Resolves the replacement in progress; null: replacements end at once. */
  hold: (() => void)[] | null = null;
  readonly healing: MirrorHealing;
  readonly mirrors: HealedMirror[];

  constructor(labels: readonly string[] = ['osl:db@0']) {
    this.mirrors = labels.map((label) => this.mirror(label));
    this.healing = new MirrorHealing({
      clock: this.clock,
      log: { info: (line) => void this.done.push(line), warn: () => undefined },
      newId: () => 'id',
      mirrors: { all: this.mirrors },
      namespaces: () => [{ name: 'osl', nodename: 'big-2', servers: this.servers(), unreached: [] }],
      changes: {
        replace: async ({ name, server, with: spare }, mayGo) => {
          this.done.push(`replace ${name} ${server} ${spare}`);
          const { hold } = this;
          if (hold !== null) await new Promise<void>((resolve) => hold.push(resolve));
          mayGo?.();
          const from = Number(server.slice(1));
          const isMember = this.members.some((one) => one.server === from);
          if (!isMember && !this.isVoter) throw new RsError('E_USAGE', `Server ${server} has no replica`);
          this.members = this.members.filter((one) => one.server !== from);
          if (this.stopsAfterRemoval.has(spare)) throw new RsError('E_TIMEOUT', `${spare} does not answer`);
          return this.added(spare);
        },
        add: async ({ name, server }) => {
          this.done.push(`add ${name} ${server}`);
          return await Promise.resolve(this.added(server));
        },
      },
      note: (label, from, to, sentence) => void this.events.push(`${label} ${from} -> ${to}: ${sentence}`),
    });
  }

  /** Lets the time pass, with a look at each interval. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += HEALING_LOOK_MS) {
      this.clock.advance(HEALING_LOOK_MS);
      this.healing.look();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  lose(server: number): void {
    this.away.add(`s${server}`);
    this.members = this.members.map((one) => (one.server === server ? { ...one, role: 'returning', session: 'none' } : one));
  }

  back(server: number): void {
    this.away.delete(`s${server}`);
    this.members = this.members.map((one) => (one.server === server ? { ...one, role: 'member', session: 'open' } : one));
  }

  private added(name: string): { readonly mirror: never; readonly warnings: string[]; readonly left: string[] } {
    this.members = [...this.members, { server: Number(name.slice(1)), role: 'member', session: 'open' }];
    return { mirror: undefined as never, warnings: [], left: [] };
  }

  private servers(): MirrorServer[] {
    return SERVERS.map((name, index) => {
      const trouble = this.away.has(name) ? new RsError('E_NO_PATH', `${name} is away`) : null;
      const room = this.full.has(name) ? 1_023 : 1_024;
      const pools = [pool({ totalBytes: 10_240, usableBytes: room, promisedBytes: 0 }), pool({ state: 'unavailable', usableBytes: 9_999 })];
      const callAdmin = (): Promise<unknown> => Promise.resolve({ pools });
      return {
        name,
        serverid: index + 1,
        trouble,
        isConnected: trouble === null,
        proofs: this.proofs,
        callAdmin,
      } as unknown as MirrorServer;
    });
  }

  private mirror(label: string): HealedMirror {
    const settings = (): HealedMirror['settings'] => this.settings;
    const verification = (): HealedMirror['verification'] => this.verification;
    const view = (): MirrorView => this.view(label);
    return {
      label,
      volume: { namespace: 'osl', name: /:(.*)@/.exec(label)?.[1] ?? '', universe: 0 },
      driver: { mirror: 'm', hasEnded: false },
      get settings() {
        return settings();
      },
      get verification() {
        return verification();
      },
      get view() {
        return view();
      },
      verify: () => {
        this.done.push(`verify ${label}`);
        this.verification = { ...REPORT, volume: label };
      },
    };
  }

  private view(label: string): MirrorView {
    const third = { server: 5, role: 'returning', session: 'open' } as const;
    const replicas = [...this.members, ...(this.copying === label ? [third] : [])].map((one) => ({ ...one, identity: `r${one.server}` }));
    const voterSets = [[1, 2, 3].map((serverid) => ({ voter: `v${serverid}`, serverid }))];
    return { isServing: true, isPending: false, isAllInSync: true, sizeBytes: 1_024, replicas, voterSets } as unknown as MirrorView;
  }
}

test('a lost server is announced at once, and replaced after its time', async () => {
  const scene = new Scene();
  await scene.pass(HOUR_MS);
  expect([scene.events, scene.done]).toEqual([[], []]);
  scene.lose(2);
  await scene.pass(MINUTE_MS);
  expect(scene.events).toEqual(['osl:db@0 whole -> announced: Server s2 is lost: if it stays away for 1h, server s4 gets its replica']);
  await scene.pass(HOUR_MS - 2 * MINUTE_MS);
  expect(scene.done).toEqual([]);
  await scene.pass(2 * MINUTE_MS);
  expect(scene.done).toEqual(['replace db s2 s4']);
  expect(scene.events.slice(1).map((one) => one.split(': ')[0])).toEqual([
    'osl:db@0 announced -> rebuilding',
    'osl:db@0 rebuilding -> replaced',
  ]);
  // The server is back, and its former replica stays.
  scene.away.delete('s2');
  await scene.pass(3 * HOUR_MS);
  expect(scene.done).toHaveLength(1);
});

test('a server that is back in the moment of its removal keeps its replica', async () => {
  const scene = new Scene();
  scene.hold = [];
  scene.lose(2);
  await scene.pass(HOUR_MS + MINUTE_MS);
  scene.back(2);
  scene.hold[0]?.();
  await scene.pass(HOUR_MS);
  expect(scene.members.map(({ server }) => server)).toEqual([1, 2]);
  expect(scene.events.join()).toContain(
    'rebuilding -> failed: Server s4 did not get the replica of s2: Server s2 is back, and keeps its replica',
  );
});

test.each([true, false])('a replacement that failed after the removal is gone on with; the old server still votes: %s', async (isVoter) => {
  const scene = new Scene();
  scene.stopsAfterRemoval.add('s4');
  scene.lose(2);
  await scene.pass(HOUR_MS + MINUTE_MS);
  expect(scene.members.map(({ server }) => server)).toEqual([1]);
  expect(scene.events.at(-1)).toMatch(
    /failed: .*the mirror has one replica less until a spare has it, or rsconfig mirror add osl:db@0 --server NAME adds one$/,
  );
  scene.isVoter = isVoter;
  scene.stopsAfterRemoval.clear();
  await scene.pass(HEALING_RETRY_MS);
  expect(scene.members.map(({ server }) => server)).toEqual([1, 4]);
  expect(scene.done.at(-1)).toBe(isVoter ? 'replace db s2 s4' : 'add db s4');
});

test('a server that comes and goes is never replaced', async () => {
  const scene = new Scene();
  for (let round = 0; round < 5; round++) {
    scene.lose(2);
    await scene.pass(HOUR_MS - MINUTE_MS);
    scene.back(2);
    await scene.pass(HEALING_LOOK_MS);
  }
  expect(scene.done).toEqual([]);
  expect(scene.events.map((one) => one.split(': ')[0])).toEqual(
    Array.from({ length: 5 }, () => ['osl:db@0 whole -> announced', 'osl:db@0 announced -> called off']).flat(),
  );
});

test('a server that was back only between two looks begins anew', async () => {
  const scene = new Scene();
  scene.lose(2);
  await scene.pass(HOUR_MS - MINUTE_MS);
  scene.proofs++;
  await scene.pass(HOUR_MS - MINUTE_MS);
  expect(scene.done).toEqual([]);
  await scene.pass(2 * MINUTE_MS);
  expect(scene.done).toEqual(['replace db s2 s4']);
});

test('one replacement runs at a time, also for several mirrors', async () => {
  const scene = new Scene(['osl:db@0', 'osl:www@0']);
  scene.hold = [];
  scene.lose(2);
  await scene.pass(2 * HOUR_MS);
  expect(scene.done).toEqual(['replace db s2 s4']);
});

test('a spare that refuses is passed over, is asked again later, and the refusal is an event', async () => {
  const scene = new Scene();
  scene.full.add('s4').add('s5');
  scene.lose(2);
  await scene.pass(HOUR_MS + MINUTE_MS);
  expect(scene.done).toEqual([]);
  expect(scene.events.join('\n')).toMatch(
    /rebuilding -> failed: Server s4 did not get the replica of s2: No pool of server s4 has room for 1.0K: the most is 1023/,
  );
  expect(scene.events.at(-1)).toMatch(/announced -> waiting: Server s2 is lost, and its replica is not rebuilt yet: no spare is connected/);
  scene.full.clear();
  await scene.pass(HEALING_RETRY_MS);
  expect(scene.done).toEqual(['replace db s2 s4']);
});

test('most servers away is said once, and nothing is rebuilt', async () => {
  const scene = new Scene();
  for (const server of [2, 3, 4]) scene.lose(server);
  await scene.pass(3 * HOUR_MS);
  expect(scene.done).toEqual([]);
  expect(scene.events.filter((one) => one.includes('its own network may be at fault'))).toHaveLength(1);
});

test('replicas are compared at the interval, and a difference is an event', async () => {
  const scene = new Scene();
  scene.settings = { ...scene.settings, verifyEveryMs: 2 * HOUR_MS };
  await scene.pass(2 * HOUR_MS + MINUTE_MS);
  expect(scene.done).toEqual(['verify osl:db@0']);
  await scene.pass(HOUR_MS);
  scene.verification = { ...REPORT, isRunning: false };
  await scene.pass(MINUTE_MS);
  expect(scene.events).toEqual([
    'osl:db@0 compared -> different: 512 differ between replicas: rsconfig mirror verify osl:db@0 shows where',
  ]);
  await scene.pass(2 * HOUR_MS);
  scene.verification = { ...REPORT, isRunning: false, differentBytes: 0 };
  await scene.pass(MINUTE_MS);
  expect(scene.done).toEqual(['verify osl:db@0', 'verify osl:db@0', 'The replicas of osl:db@0 are equal (1.0K compared)']);
});

test('while a replica is being copied, no mirror is rebuilt, and each says so once', async () => {
  const scene = new Scene(['osl:db@0', 'osl:www@0']);
  scene.lose(2);
  await scene.pass(HOUR_MS - MINUTE_MS);
  scene.copying = 'osl:www@0';
  await scene.pass(HOUR_MS);
  expect(scene.done).toEqual([]);
  expect(scene.events.filter((one) => one.includes('is not rebuilt yet')).map((one) => one.split('yet: ')[1])).toEqual([
    'mirror osl:www@0 is copied first',
    'the replica on server s5 lacks writes, and is copied first',
  ]);
  scene.copying = null;
  await scene.pass(MINUTE_MS);
  expect(scene.done[0]).toBe('replace db s2 s4');
});

test('a process that stood still counts the time from then on', async () => {
  const scene = new Scene();
  scene.lose(2);
  await scene.pass(MINUTE_MS);
  scene.clock.advance(2 * HOUR_MS);
  await scene.pass(HOUR_MS - MINUTE_MS);
  expect(scene.done).toEqual([]);
  await scene.pass(2 * MINUTE_MS);
  expect(scene.done).toEqual(['replace db s2 s4']);
});

test('after the stop, nothing is looked at', () => {
  const scene = new Scene();
  scene.healing.start();
  scene.healing.stop();
  scene.lose(2);
  scene.clock.advance(3 * HOUR_MS);
  expect([scene.events, scene.done]).toEqual([[], []]);
});
