// Tests the findings about mirrors: which servers would stop a mirror if they failed now, and why. The test supplies the facts; rsiod's
// views of mirrors are tested in rsiod's mirrors/commands/.

import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { expect, test } from 'vitest';
import { doctorFacts } from '../../testing/facts.ts';
import { mirror } from '../../testing/views.ts';
import { checkMirrors } from './mirrors.ts';

type Change = (good: MirrorSummary) => Partial<MirrorSummary>;

const behind =
  (name: string): Change =>
  ({ replicas }) => ({
    replicas: replicas.map((one) => (one.server === name ? { ...one, inSync: false } : one)),
  });
const silent =
  (...names: string[]): Change =>
  ({ replicas, voters }) => ({
    replicas: replicas.map((one) => (names.includes(one.server) ? { ...one, isReachable: false, isSilent: true } : one)),
    voters: voters.map((one) => (names.includes(one.server) ? { ...one, answers: false, isSilent: true, trouble: 'Gone' } : one)),
  });
const forgetful =
  (name: string): Change =>
  ({ voters }) => ({
    voters: voters.map((one) => (one.server === name ? { ...one, answers: false, trouble: 'The server has lost its record' } : one)),
  });
const withoutWitness: Change = ({ voters }) => ({ voters: voters.slice(0, 2) });

test.each<[string, Change, string, string]>([
  ['all is well', () => ({}), 'ok', 'In sync on big-9 and big-8; any one of its servers may fail'],
  ['one is behind', behind('big-9'), 'warning', 'If big-8 fails now, osl:db@0 stops: big-9 is not in sync'],
  ['no witness', withoutWitness, 'warning', 'If big-9 or big-8 fails now, osl:db@0 stops: too few voters would be left'],
  [
    'one replica is left',
    ({ replicas }) => ({ replicas: replicas.slice(0, 1) }),
    'warning',
    'If big-9 fails now, osl:db@0 stops: no replica would be left',
  ],
  ['the witness is gone', silent('pi-1'), 'warning', 'If big-9 or big-8 fails now, osl:db@0 stops: pi-1 does not answer'],
  ['a voter has lost its record', forgetful('pi-1'), 'warning', 'If big-9 or big-8 fails now, osl:db@0 stops: pi-1 does not vote'],
  ['a server is gone', silent('big-9'), 'warning', 'If big-8 or pi-1 fails now, osl:db@0 stops: big-9 does not answer'],
  ['two are gone', silent('big-9', 'pi-1'), 'error', 'It cannot be used: big-9 does not answer, pi-1 does not answer'],
  ['nobody answers', () => ({ state: 'unknown', voters: [] }), 'error', 'It cannot be used: none of its voters answers'],
  [
    'it is half made',
    () => ({ state: 'unfinished', voters: [] }),
    'warning',
    'It was not made or removed to the end, so that it cannot be attached',
  ],
])('%s', (_, change, severity, what) => {
  const good = mirror();
  const findings = checkMirrors(doctorFacts({ mirrors: [{ ...good, ...change(good) }] }));
  expect(findings.map((one) => [one.severity, one.object, one.what])).toEqual([[severity, 'mirror osl:db@0', what]]);
  expect(findings.every((one) => one.severity === 'ok' || one.remedy !== null)).toBe(true);
});

test('of three replicas, one may be behind', () => {
  const good = mirror();
  const third = { ...good.replicas[0]!, server: 'pi-1', serverid: 3, inSync: false };
  const findings = checkMirrors(doctorFacts({ mirrors: [{ ...good, replicas: [...good.replicas, third] }] }));
  expect(findings.map(({ severity, what }) => [severity, what])).toEqual([['warning', 'It has lost redundancy: pi-1 is not in sync']]);
});

const EMPTY = 'answers, and has lost its record of the mirror: rsconfig mirror';

test.each<[string, Change, string]>([
  ['a server is back without its disks', forgetful('big-9'), `big-9 ${EMPTY} replace osl:db@0 --server big-9 --with big-9 makes`],
  ['the witness is back without its disks', forgetful('pi-1'), `pi-1 ${EMPTY} witness osl:db@0 --server pi-1 lets it vote again`],
  ['a server is gone', silent('big-9'), 'if it is gone, rsconfig mirror replace osl:db@0 --server big-9 --with OTHER puts'],
  ['the witness is gone', silent('pi-1'), 'if it is gone, rsconfig mirror witness osl:db@0 --server OTHER lets'],
  ['a replica is copied', behind('big-9'), 'wait until the client that has it attached has copied the replicas'],
])('the remedy is a command for this server: %s', (_, change, remedy) => {
  const good = mirror();
  const [finding] = checkMirrors(doctorFacts({ mirrors: [{ ...good, ...change(good) }] }));
  expect(finding?.remedy).toContain(remedy);
});

test('a replica that its server does not serve, although it answers, has the commands that copy it anew', () => {
  const good = mirror();
  const replicas = good.replicas.map((one) => (one.server === 'big-9' ? { ...one, isReachable: false, inSync: false } : one));
  const [finding] = checkMirrors(doctorFacts({ mirrors: [{ ...good, replicas }] }));
  expect(finding?.what).toBe('If big-8 fails now, osl:db@0 stops: the replica of big-9 cannot be used, big-9 is not in sync');
  expect(finding?.remedy).toContain('on big-9, rsadm volume show db says why');
  expect(finding?.remedy).toContain(
    'rsconfig mirror detach osl:db@0 --server big-9, then on big-9 rsadm volume split db and rsadm volume remove db, then rsconfig mirror add',
  );
});

test('a replica whose server has returned after its replacement is named', () => {
  const stale = [{ server: 'big-7', serverid: 7, volume: 'db', universe: 0 }];
  const findings = checkMirrors(doctorFacts({ mirrors: [{ ...mirror(), stale }] }));
  expect(findings.map(({ severity, what, remedy }) => [severity, what, remedy])).toEqual([
    [
      'warning',
      'Its volume db@0 on big-7 is no replica any more, and lacks writes: big-7 was away while it was replaced',
      'rsconfig mirror detach osl:db@0 --server big-7 --volume removes it, on the client that has the mirror attached',
    ],
    ['ok', expect.stringContaining('In sync'), null],
  ]);
});

test('says nothing of mirrors that rsiod does not know', () => {
  expect(checkMirrors(doctorFacts({ mirrors: null }))).toEqual([]);
});
