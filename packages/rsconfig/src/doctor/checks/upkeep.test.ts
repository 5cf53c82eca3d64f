// Tests the findings of doctor about servers with another release or another time, and about full disks. The limits of free space are
// tested in packages/api/src/manage/upkeep.test.ts.

import { expect, test } from 'vitest';
import { BACKUP_LATE_MS, CLOCKS_DIFFER_MS } from '../../limits.ts';
import { doctorFacts, pathFacts, report } from '../../testing/facts.ts';
import { diagnose } from './checks.ts';
import type { DoctorFacts } from '../gather/facts.ts';

function said(changes: Partial<DoctorFacts>): string[] {
  const found = diagnose(doctorFacts(changes)).filter(({ check, severity }) => check === 'upkeep' && severity !== 'ok');
  return found.map(({ severity, object, what }) => `${severity}: ${object}: ${what}`);
}

test('a server with another release, and one that does not say', () => {
  const servers = [
    { name: 'big-9', release: '0.9.0', clockOffMs: 0, sharesVolumes: false, replications: [], pools: [], file: null },
    { name: 'old', release: null, clockOffMs: null, sharesVolumes: false, replications: [], pools: [], file: null },
    { name: 'same', release: '1.0.0', clockOffMs: CLOCKS_DIFFER_MS - 1, sharesVolumes: false, replications: [], pools: [], file: null },
  ];
  expect(said({ servers })).toEqual(['warning: server big-9: It has release 0.9.0, and rsiod has 1.0.0']);
});

test('a server whose clients may change the volumes of each other, as every server before tenants', () => {
  const servers = [{ name: 'big-9', release: null, clockOffMs: null, sharesVolumes: true, replications: [], pools: [], file: null }];
  expect(said({ servers })).toEqual([
    'warning: server big-9: Several of its clients have the right manage, and each may change the volumes of the others',
  ]);
});

test('clocks that differ, in both directions', () => {
  const servers = [
    { name: 'ahead', release: null, clockOffMs: CLOCKS_DIFFER_MS, sharesVolumes: false, replications: [], pools: [], file: null },
    { name: 'behind', release: null, clockOffMs: -3_600_000, sharesVolumes: false, replications: [], pools: [], file: null },
  ];
  expect(said({ servers })).toEqual([
    'warning: server ahead: Its clock is 5 s ahead of the one of this machine',
    'warning: server behind: Its clock is 3600 s behind the one of this machine',
  ]);
});

test('a clock that was set after the session of rsiod began', () => {
  const servers = [{ name: 'big-9', release: null, clockOffMs: 0, sharesVolumes: false, replications: [], pools: [], file: null }];
  const off = (clockOffMs: number | null) => [pathFacts(0, { report: report({ server: { ...report().server!, clockOffMs } }) })];
  expect(said({ servers, paths: off(7_200_000) })).toEqual(['warning: server big-9: Its clock is 7200 s ahead of the one of this machine']);
  expect(said({ servers: [{ ...servers[0]!, clockOffMs: 7_200_000 }], paths: off(0) })).toEqual([]);
});

test('a backup that is late', () => {
  const { nowMs } = doctorFacts({});
  const backup = { namespace: 'osl', name: 'oracle', universe: 0 };
  const backups = [
    { ...backup, atMs: nowMs - BACKUP_LATE_MS },
    { ...backup, name: 'www', atMs: nowMs - BACKUP_LATE_MS - 1 },
  ];
  expect(said({ backups })).toEqual(['warning: volume osl:www@0: Its newest backup by rsconfig backup was made 2010_09_13-13:02:31 (GMT)']);
});

test('a disk without room is an error', () => {
  const disks = [{ path: '/var/lib/rsio', freeBytes: 0, totalBytes: 1 << 30 }];
  expect(said({ upkeep: { disks, certificate: null } })).toEqual(['error: /var/lib/rsio: Its file system has 0 of 1.0G free']);
});
