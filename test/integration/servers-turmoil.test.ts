// The data centre under I/O, during 50 changes such as restarts of servers and reloads of changed files. No I/O may fail, no block may
// differ, and every output after a change must be right. A failure names its seed: npm run drill -- data-centre --seed S repeats the same
// changes.

import { randomInt } from 'node:crypto';
import { expect, it } from 'vitest';
import { DataCentre } from '../data-centre/data-centre.ts';
import { turmoilUnderLoad } from '../data-centre/under-load.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needFio } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';

const CHANGES = 50;
const TEST_MS = 400_000;

const hosts = useHosts();

it(
  `${CHANGES} changes of servers and clients under fio`,
  async (context) => {
    needFio(context);
    const centre = await DataCentre.make(hosts);
    await centre.start();
    const seed = randomInt(2 ** 31);
    const { seconds, verifyReads, longestGapMs } = await turmoilUnderLoad(centre, seed, CHANGES, () => undefined);
    expect(verifyReads).toBeGreaterThan(1000);
    report('changes under I/O', { seed, seconds, verifyReads, 'longest gap ms': longestGapMs });
  },
  TEST_MS,
);
