// Tests the finding about volumes in pools on shared disks whose `stall` is too short for a move to another server. The other findings
// about volumes are tested in quiet-faults.test.ts. Invariant: all tests have the same facts from rsiod; only `stall` differs.

import { expect, test } from 'vitest';
import { doctorFacts, fileFacts, SAMPLE } from '../../testing/facts.ts';
import { checkVolumes } from './volumes.ts';

const oracle = { namespace: 'osl', name: 'oracle', universe: 0 };
const shared = { failing: [], deadMounts: [], inSharedPools: [oracle], copies: [] };

function said(stall: string): (readonly [string, string, string])[] {
  const text = `${SAMPLE}\n[volume oracle]\nstall = ${stall}\n`;
  const facts = doctorFacts({ file: fileFacts(text), volumes: shared });
  expect(facts.file.problems).toEqual([]);
  return checkVolumes(facts).map(({ severity, object, what }) => [severity, object, what] as const);
}

test.each([
  ['fail', 'fail'],
  ['44s', '44s'],
])('a stall of %s may be too short for a change of the server', (stall, shown) => {
  const what = `Several servers can serve its pool, and a move to another server may take longer than its stall of ${shown}: I/O would fail`;
  expect(said(stall)).toEqual([['warning', 'volume osl:oracle@0', what]]);
});

test.each(['45s', '600s', 'forever'])('a stall of %s is long enough', (stall) => {
  expect(said(stall)).toEqual([['ok', 'volumes', 'No I/O is waiting, and no storage fails']]);
});

test('says nothing about `stall` if the file has no configuration', () => {
  const facts = doctorFacts({ volumes: shared });
  expect(checkVolumes({ ...facts, file: { ...facts.file, config: null } }).map(({ severity }) => severity)).toEqual(['ok']);
});

test('a volume that may be a copy is an error, with the text that names both servers', () => {
  const copies = [{ volume: 'osl:oracle@0', why: 'Servers oslo and bergen both offer it' }];
  const [found] = checkVolumes(doctorFacts({ volumes: { ...shared, inSharedPools: [], copies } }));
  expect([found?.severity, found?.object, found?.what]).toEqual(['error', 'volume osl:oracle@0', 'Servers oslo and bergen both offer it']);
});
