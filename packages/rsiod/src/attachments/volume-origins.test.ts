// Which server a volume may be attached from when another server offers its id: copies of servers, and everything that is no copy. Rules:
// G15 in docs/GUARANTEES.md. Real daemons: test/integration/copied-server.test.ts.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ORIGINS_KEPT_MAX } from './limits.ts';
import type { ServerOffer } from './offers.ts';
import { givenOrigins, isSameServer, type PlacedOffer, refusalOf, VolumeOrigins } from './volume-origins.ts';

interface Facts {
  readonly name: string;
  readonly serverid: number;
  readonly addresses: readonly string[];
}
const OSLO: Facts = { name: 'oslo', serverid: 1, addresses: ['10.0.0.1'] };
const COPY: Facts = { name: 'bergen', serverid: 2, addresses: ['10.0.0.2'] };

function offer({ name: server, serverid, addresses }: Facts, changes: Partial<PlacedOffer> = {}): PlacedOffer {
  const from = { metAt: new Set(addresses.map((address) => `${address}/700`)) };
  const place = { namespace: 'n', server, serverid, isConnected: true, name: 'db', universe: 0, id: 'id', readonly: false };
  return { ...place, holders: [], mirror: null, poolGeneration: null, poolId: 'pool', from, ...changes };
}

const origin = ({ name: server, ...others }: Facts) => ({ server, ...others });
const refused = (same: readonly PlacedOffer[], known: Facts | null): string | null =>
  refusalOf('n:db@0', same, known === null ? null : { ...origin(known), addresses: [...known.addresses] })?.message ?? null;

describe('one id at two servers whose pools are not shared', () => {
  test('is refused, with both named, in any order, under any name, even if one is not in reach or read-only', () => {
    const cases: readonly (readonly PlacedOffer[])[] = [
      [offer(OSLO), offer(COPY)],
      [offer(COPY), offer(OSLO)],
      [offer(OSLO, { isConnected: false }), offer(COPY, { name: 'renamed' })],
      [offer(OSLO, { readonly: true }), offer(COPY)],
      // A section or a shared pool that has the id of a volume of another server's own pool is a copy, too.
      [offer(OSLO, { poolId: null }), offer(COPY)],
      [offer(OSLO, { poolGeneration: 4 }), offer(COPY)],
    ];
    for (const same of cases) {
      const why = refused(same, OSLO);
      expect(why).toMatch(/^Servers (oslo and bergen|bergen and oslo) both offer n:db@0 with id id, and their pools are not shared/);
      expect(why).toMatch(/rsconfig -a n:db@0 --server (oslo|bergen) or rsconfig -a n:db@0 --server (oslo|bergen) takes it$/);
    }
  });

  test('is no question for shared pools, mirrors, sections of several servers, and servers that do not name their pools', () => {
    const cases: readonly Partial<PlacedOffer>[] = [{ poolGeneration: 3 }, { mirror: 'm', poolId: null }, { poolId: null }];
    for (const one of cases) expect(refused([offer(OSLO, one), offer(COPY, one)], null)).toBeNull();
  });
});

describe('one server that offers the id', () => {
  test('is refused if another server had it last, and both are named', () => {
    expect(refused([offer(COPY)], OSLO)).toBe(
      'n:db@0 was last attached from server oslo (serverid 1, 10.0.0.1), and server bergen (serverid 2, 10.0.0.2) offers its id id now: ' +
        'this may be a copy with older content. If its pool was moved there, rsconfig -a n:db@0 --server bergen takes it',
    );
  });

  test.each([
    ['a first attach', COPY, null, true],
    ['the same server', OSLO, OSLO, true],
    ['a renamed server', { ...OSLO, name: 'stavanger' }, OSLO, true],
    ['a renumbered server', { ...OSLO, serverid: 9 }, OSLO, true],
    ['a server that was restored on new hardware, at a new address', { ...OSLO, addresses: ['10.0.0.7'] }, OSLO, true],
    ['a server with one more address', { ...OSLO, name: 'x', addresses: ['10.0.1.1', '10.0.0.1'] }, OSLO, true],
    ['a copy with its own name, the serverid of the original and an address of its own', { ...COPY, serverid: 1 }, OSLO, false],
    ['a copy with its own name and serverid at the address of the original', { ...COPY, addresses: ['10.0.0.1'] }, OSLO, false],
    ['a copy with the name of the original, and a serverid and an address of its own', { ...COPY, name: 'oslo' }, OSLO, false],
  ] as const)('%s', (_name, now, known, isFine) => {
    expect(refused([offer(now)], known) === null).toBe(isFine);
    if (known !== null)
      expect(isSameServer({ ...origin(known), addresses: [...known.addresses] }, { ...origin(now), addresses: [...now.addresses] })).toBe(
        isFine,
      );
  });
});

describe('what is remembered', () => {
  let folder = '';
  const warned: string[] = [];
  const log = { warn: (text: string): void => void warned.push(text) };
  const started = async (): Promise<VolumeOrigins> => {
    const origins = new VolumeOrigins(join(folder, 'origins.json'), log);
    await origins.load();
    return origins;
  };
  const check = (
    origins: Pick<VolumeOrigins, 'check'>,
    one: PlacedOffer,
    isOrdered = false,
    isAgain = false,
    all = [one],
  ): string | null => {
    try {
      origins.check({ label: 'n:db@0', offers: [one] }, all, isOrdered, isAgain);
      return null;
    } catch (thrown) {
      return (thrown as Error).message;
    }
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rsiod-origins-'));
    warned.length = 0;
  });
  afterEach(() => removeFolder(folder));

  test('survives a reboot, and a person decides once', async () => {
    let origins = await started();
    await origins.attached(offer(OSLO));
    origins = await started();
    expect([check(origins, offer(OSLO)), check(origins, offer(COPY))]).toEqual([null, expect.stringContaining('was last attached from')]);
    expect(check(origins, offer(COPY), true)).toBeNull();
    await origins.attached(offer(COPY));
    origins = await started();
    expect([check(origins, offer(COPY)), check(origins, offer(OSLO))]).toEqual([
      null,
      expect.stringContaining('server bergen (serverid 2'),
    ]);
    expect(warned).toEqual([]);
  });

  // Regression: a mounted volume had no I/O after a restart of rsiod while a copy of its server was there, although a person had decided.
  test('a volume goes on at its server after a restart while a copy is there, and nowhere else', async () => {
    const origins = await started();
    await origins.attached(offer(OSLO));
    const all = [offer(OSLO), offer(COPY)];
    const twin = { ...COPY, serverid: 1 };
    expect(check(origins, offer(OSLO), false, true, all)).toBeNull();
    expect(check(origins, offer({ ...OSLO, name: 'stavanger' }), false, true, all)).toBeNull();
    expect(check(origins, offer(OSLO), false, false, all)).toContain('both offer');
    for (const one of [COPY, { ...OSLO, serverid: 2 }]) expect(check(origins, offer(one), false, true, all)).toContain('both offer');
    expect(check(origins, offer(twin), false, true)).toContain('was last attached from');
  });

  // Regression: a data process that was started again went on at a copy of the server, because only the main process checked.
  test('a data process checks what it attaches again, and nothing else', async () => {
    const origins = await started();
    await origins.attached(offer(OSLO));
    const given = givenOrigins(
      origins.of([
        { namespace: 'n', id: 'id' },
        { namespace: 'n', id: 'other' },
      ]),
    );
    const twin = offer({ ...COPY, serverid: 1 });
    expect(check(given, twin, false, true)).toContain('was last attached from');
    expect([check(given, offer(OSLO), false, true), check(given, twin), check(given, twin, true, true)]).toEqual([null, null, null]);
    expect(check(givenOrigins({}), twin, false, true)).toBeNull();
  });

  test('a volume goes on after a restart only if every server that offers it is the one that it had', () => {
    const given = givenOrigins({ 'n id': { ...origin(OSLO), addresses: [...OSLO.addresses] } });
    const both = [offer(OSLO), offer(COPY)];
    expect(() => given.check({ label: 'n:db@0', offers: both }, both, false, true)).toThrow('both offer n:db@0');
  });

  test('copies of other volumes, and of other namespaces, ask nothing', async () => {
    const origins = await started();
    const others = [OSLO, COPY].flatMap((one) => [offer(one, { id: 'other' }), offer(one, { namespace: 'm' })]);
    expect(check(origins, offer(OSLO), false, false, [offer(OSLO), ...others])).toBeNull();
  });

  test('a snapshot asks nothing and changes nothing', async () => {
    const origins = await started();
    await origins.attached(offer(OSLO));
    expect(check(origins, offer(COPY, { name: 'db@monday' }))).toBeNull();
    await origins.attached(offer(COPY, { name: 'db@monday' }));
    expect(check(origins, offer(OSLO))).toBeNull();
  });

  test('a volume that was attached from a shared pool is known by its generations, and may end in any pool of its servers', async () => {
    const origins = await started();
    await origins.attached(offer(OSLO));
    await origins.attached(offer(OSLO, { poolGeneration: 2 }));
    expect(check(origins, offer(COPY))).toBeNull();
  });

  test('a damaged file is reported and asks nothing; the number of volumes is bounded, and the oldest are forgotten', async () => {
    writeFileSync(join(folder, 'origins.json'), '{');
    const origins = await started();
    expect([warned.length, check(origins, offer(COPY))]).toEqual([1, null]);
    expect(readFileSync(join(folder, 'origins.json.damaged'), 'utf8')).toBe('{');
    const many = Object.fromEntries(Array.from({ length: ORIGINS_KEPT_MAX }, (_, index) => [`n v${index}`, origin(OSLO)]));
    writeFileSync(join(folder, 'origins.json'), JSON.stringify({ version: 1, content: many }));
    const full = await started();
    await full.attached(offer(OSLO));
    const kept = Object.keys((JSON.parse(readFileSync(join(folder, 'origins.json'), 'utf8')) as { content: object }).content);
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([ORIGINS_KEPT_MAX, 'n v1', 'n id']);
  });

  test('the main process refuses what its data processes must not attach, and keeps the order of the outcomes', async () => {
    const origins = await started();
    await origins.attached(offer(OSLO, { id: 'a' }));
    const offers = [offer(COPY, { name: 'a', id: 'a' }), offer(COPY, { name: 'b', id: 'b' })] as unknown as ServerOffer[];
    const asked: string[] = [];
    const attach = (labels: readonly string[]): Promise<AttachOutcome[]> => {
      asked.push(...labels);
      return Promise.resolve(labels.map((volume) => ({ volume, done: true, already: false, device: null, error: null })));
    };
    const outcomes = await origins.guarded(['n:a@0', 'n:b@0', 'n:c@0'], null, offers, attach);
    expect([asked, outcomes.map(({ volume, error }) => [volume, error?.code])]).toEqual([
      ['n:b@0', 'n:c@0'],
      [
        ['n:a@0', 'E_AMBIGUOUS'],
        ['n:b@0', undefined],
        ['n:c@0', undefined],
      ],
    ]);
    expect((await origins.guarded(['n:a@0'], 'bergen', offers, attach))[0]?.error).toBeNull();
    expect((await origins.guarded(['n:a@0'], null, offers, attach))[0]?.error).toBeNull();
  });
});
