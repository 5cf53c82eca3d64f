// Tests that several sources are merged without duplicate objects, and that a picture of another machine is accepted only with the right
// shape and loses links to other sites. Also tests that the model notices daemons of different releases, and that histories
// keep to their memory bound.

import { describe, expect, test } from 'vitest';
import { SAMPLE_MS, samplePicture } from '../testing/sample-picture.ts';
import { HistoryRings } from './history-rings.ts';
import { HISTORY_IDLE_MS, HISTORY_OBJECTS_MAX, RINGS, TEXT_MAX_CHARS } from '../limits.ts';
import { heard } from './owners.ts';
import { merged } from './merge.ts';
import type { Picture } from './picture.ts';
import { checkedPicture } from './picture-shape.ts';
import { finding } from './remedies.ts';
import { versionFindings } from './versions.ts';

const sample = samplePicture();
const LISTS = ['machines', 'servers', 'clients', 'paths', 'volumes', 'pools', 'mirrors', 'applications', 'findings', 'events'] as const;

/** Returns the picture as it would be if only clients reported the objects. */
function bySecondHand(picture: Picture): Picture {
  const servers = picture.servers.map((server) => ({ ...server, machine: null, version: null, namespace: 'osl', serverid: 7 }));
  const volumes = picture.volumes.map((volume) => ({ ...volume, pool: null, usedBytes: null, waits: [] }));
  return { ...picture, machines: [], servers, volumes, pools: [] };
}

describe('merging', () => {
  test('a picture with itself changes nothing but the order', () => {
    const once = merged([sample], SAMPLE_MS);
    const twice = merged([sample, sample], SAMPLE_MS);
    for (const list of LISTS) expect(twice[list].length).toBe(once[list].length);
    expect(twice.volumes).toEqual(once.volumes);
  });

  test.each([[[sample, bySecondHand(sample)]], [[bySecondHand(sample), sample]]])(
    'what a server tells of itself counts, in any order',
    (parts) => {
      const whole = merged(parts, SAMPLE_MS);
      const poolOf = (volumes: Picture['volumes']) => new Map(volumes.map(({ id, pool }) => [id, pool]));
      expect(poolOf(whole.volumes)).toEqual(poolOf(sample.volumes));
      expect(whole.servers.every(({ machine, serverid }) => machine !== null && serverid !== null)).toBe(true);
      expect(whole.pools.length).toBe(sample.pools.length);
    },
  );

  test('findings are in order, errors first', () => {
    const severities = merged([sample], SAMPLE_MS).findings.map(({ severity }) => severity);
    expect(severities).toEqual(severities.toSorted());
    expect(severities).toContain('warning');
  });
});

describe('a picture of another machine', () => {
  test('passes unchanged, and loses what this release does not know', () => {
    const text = JSON.stringify({ ...sample, more: { deep: [[[1]]] }, volumes: sample.volumes.map((one) => ({ ...one, secret: 'x' })) });
    const taken = checkedPicture(JSON.parse(text));
    expect(typeof taken).toBe('object');
    expect(JSON.stringify(taken)).not.toContain('secret');
    expect(taken).toMatchObject({ volumes: JSON.parse(JSON.stringify(sample.volumes)) as unknown[] });
  });

  test('of an earlier release has no works, replications and gates', () => {
    const { works: _works, replications: _replications, gates: _gates, ...earlier } = sample;
    expect(checkedPicture(JSON.parse(JSON.stringify(earlier)))).toMatchObject({ works: [], replications: [], gates: [] });
  });

  test('tells only of works, replications and gates of its own server and client', () => {
    const source = { source: 'source far', isOwn: false, picture: sample };
    const machine = (id: string): { machine: string } => ({ machine: id });
    const servers = sample.servers.map((one) => ({ ...one, ...(one.id === 'atlas' ? machine('atlas') : { machine: null }) }));
    const clients = sample.clients.map((one) => (one.id === 'db-01' ? { ...one, machine: 'db-01' } : { ...one, machine: null }));
    const [part] = heard([{ ...source, picture: { ...sample, servers, clients } }]).parts;
    expect(part?.works.map(({ id }) => id)).toEqual(['server:atlas:job 7', 'client:db-01:resync osl:mail-004@0 rhea']);
    expect(part?.replications.map(({ id }) => id)).toEqual(['server:atlas:r-0']);
    expect(part?.gates.map(({ id }) => id)).toEqual(['client:db-01:gate esx']);
    const others = { ...sample, servers, clients: sample.clients.map((one) => ({ ...one, machine: null })) };
    expect(heard([{ ...source, picture: others }]).parts[0]).toMatchObject({ works: [{ server: 'atlas' }], gates: [] });
    const forged = sample.works.map((one) => ({ ...one, id: `rhea:${one.id}` }));
    expect(heard([{ ...source, picture: { ...sample, servers, clients, works: forged } }]).parts[0]?.works).toEqual([]);
  });

  test.each([
    [null, 'it is not an object'],
    [[], 'it is not an object'],
    [{}, 'takenMs is not a number'],
    [{ ...sample, volumes: {} }, 'volumes is not a list'],
    [{ ...sample, volumes: [{}] }, 'volumes[0].id is not text'],
    [{ ...sample, paths: sample.paths.map((one) => ({ ...one, state: 'sideways' })) }, 'paths[0].state is not one of'],
    [{ ...sample, snapshots: '7' }, 'snapshots is not a number'],
    [{ ...sample, events: sample.events.map((one) => ({ ...one, atMs: 8.64e15 + 1 })) }, 'events[0].atMs is not a number from 0'],
    [{ ...sample, clients: sample.clients.map((one) => ({ ...one, fencedMs: -1 })) }, 'clients[0].fencedMs is not a number from 0'],
    [{ ...sample, pools: sample.pools.map((one) => ({ ...one, reserve: 2 })) }, 'pools[0].reserve is not a number from 0 to 1'],
    [{ ...sample, mirrors: sample.mirrors.map((one) => ({ ...one, majority: 1e300 })) }, 'mirrors[0].majority is not a number from 0'],
  ])('is refused with the place of what is wrong: %#', (value, trouble) => {
    expect(checkedPicture(value)).toContain(trouble);
  });

  test('cannot lead to other sites, nor send endless texts', () => {
    const hostile = {
      ...sample,
      findings: sample.findings.map((one) => ({ ...one, href: 'https://evil.example/', what: 'x'.repeat(1_000_000) })),
      events: sample.events.map((one) => ({ ...one, href: '//evil.example/volume/a' })),
    };
    const taken = checkedPicture(hostile);
    if (typeof taken === 'string') throw new Error(taken);
    expect(new Set([...taken.findings, ...taken.events].map(({ href }) => href))).toEqual(new Set([null]));
    expect(taken.findings.every(({ what }) => what.length === TEXT_MAX_CHARS)).toBe(true);
  });
});

test('servers and clients that lag behind the newest release are named', () => {
  const [server, client] = [sample.servers[0], sample.clients[0]];
  if (server === undefined || client === undefined) throw new Error('The sample has none');
  const found = (versions: readonly (string | null)[]): string[] =>
    versionFindings({ servers: [{ ...server, version: versions[0] ?? null }], clients: [{ ...client, version: versions[1] ?? null }] }).map(
      ({ where }) => where.split(' ')[0] ?? '',
    );
  expect(found(['0.2.0', '0.2.0'])).toEqual([]);
  expect(found(['0.2.0', null])).toEqual([]);
  expect(found(['0.10.0', '0.9.0'])).toEqual(['client']);
  expect(found(['0.1.0', '0.2.0'])).toEqual(['server']);
});

test('a sentence becomes a finding with its remedy, which stands behind the last colon', () => {
  const place = { where: 'pool fast', href: null };
  expect(finding('error', 'full', 'Pool fast (a: b) is full: remove volumes', place)).toMatchObject({
    id: 'full pool fast',
    what: 'Pool fast (a: b) is full',
    remedy: 'Remove volumes',
  });
  expect(finding('error', 'full', 'It is full', place)).toMatchObject({ what: 'It is full', remedy: '' });
  expect(finding('error', 'down', 'It is down: rsadm interface list shows why', place).remedy).toBe('rsadm interface list shows why');
  expect(finding('error', 'down', 'It is down: restart it', place).remedy).toBe('Restart it');
});

describe('the history', () => {
  const [fine] = RINGS;

  test('has a step for each time, without values where nothing was measured', () => {
    const history = new HistoryRings();
    history.record(samplePicture({ takenMs: SAMPLE_MS }));
    history.record(samplePicture({ takenMs: SAMPLE_MS + fine.stepMs * 3, tick: 1 }));
    const [ring] = history.ringsOf('all');
    expect(ring?.timesMs.length).toBe(4);
    expect(ring?.series.readsPerSecond?.map((value) => value !== null)).toEqual([true, false, false, true]);
    expect(history.ringsOf('volume:none')).toEqual([]);
  });

  test('forgets what is older than its ring, and begins again when the clock is set back', () => {
    const history = new HistoryRings();
    for (let at = 0; at < fine.length + 10; at++) history.record({ ...sample, takenMs: SAMPLE_MS + at * fine.stepMs });
    expect(history.ringsOf('all')[0]?.timesMs.length).toBe(fine.length);
    history.record({ ...sample, takenMs: SAMPLE_MS - 86_400_000 });
    expect(history.ringsOf('all')[0]?.timesMs.length).toBe(1);
  });

  test('of very many volumes is bounded; one that has been idle for long makes room for one that is busy', () => {
    const [volume] = sample.volumes;
    if (volume === undefined) throw new Error('The sample has none');
    const busy = { ...volume.load, readsPerSecond: 1 };
    const volumes = Array.from({ length: HISTORY_OBJECTS_MAX + 100 }, (_, at) => ({ ...volume, id: String(at), load: busy }));
    const history = new HistoryRings();
    history.record({ ...sample, servers: [], clients: [], pools: [], volumes });
    expect(history.ringsOf('volume:0').length).toBe(RINGS.length);
    expect(history.ringsOf(`volume:${HISTORY_OBJECTS_MAX + 99}`)).toEqual([]);
    const later = { ...sample, servers: [], clients: [], pools: [], takenMs: sample.takenMs + HISTORY_IDLE_MS };
    history.record({ ...later, volumes: volumes.slice(-1) });
    expect(history.ringsOf('volume:0')).toEqual([]);
    expect(history.ringsOf(`volume:${HISTORY_OBJECTS_MAX + 99}`).length).toBe(RINGS.length);
    history.record({ ...sample, volumes: [{ ...volume, id: 'idle', load: { ...busy, readsPerSecond: 0, writesPerSecond: 0 } }] });
    expect(history.ringsOf('volume:idle')).toEqual([]);
  });

  test('of one machine takes not more than its share, however busy it is', () => {
    const [volume, server] = [sample.volumes[0], sample.servers[0]];
    if (volume === undefined || server === undefined) throw new Error('The sample has none');
    const load = { ...volume.load, readsPerSecond: 1 };
    const of = (machine: string, count: number) => ({
      ...sample,
      servers: [{ ...server, id: machine, machine }],
      clients: [],
      pools: [],
      volumes: Array.from({ length: count }, (_, at) => ({ ...volume, id: `${machine}${at}`, server: machine, load })),
    });
    const history = new HistoryRings();
    history.record(of('mars', HISTORY_OBJECTS_MAX));
    history.record(of('big-9', 50));
    history.record(of('mars', HISTORY_OBJECTS_MAX));
    for (let at = 0; at < 50; at++) expect(history.ringsOf(`volume:big-9${at}`).length).toBe(RINGS.length);
    const ofMars = Array.from({ length: HISTORY_OBJECTS_MAX }, (_, at) => history.ringsOf(`volume:mars${at}`).length > 0);
    expect(ofMars.filter(Boolean).length).toBeGreaterThan(HISTORY_OBJECTS_MAX - 60);
    expect(history.ringsOf('all').length).toBe(RINGS.length);
  });
});
