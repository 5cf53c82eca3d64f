// fio writes blocks with checksums and reads them back, while every fault of the list happens once on each link. fio judges the data.
// Invariants: every fault is over before the next one begins. fio runs longer than all faults together.

import { setTimeout as sleep } from 'node:timers/promises';
import { type FioOutcome, startFio } from '../../support/io/fio.ts';
import { LINK_FAULTS } from '../../support/netlab/link-faults.ts';
import { startClient } from '../../support/hosts/configs.ts';
import type { Stage } from './stage.ts';

const FAULT_SHARE = 0.6;
const BEGIN_MS = 1_000;
const FIO_SIZE = '128m';

export async function verifiedRun(stage: Stage, seconds: number): Promise<FioOutcome> {
  const { client, network, links } = stage.scene;
  await startClient(client.host, network);
  await client.host.rsconfigWell('-a', 'oracle');
  const fio = startFio(client.host, 'osl/oracle', { seconds, size: FIO_SIZE });
  const turnMs = (seconds * 1000 - 2 * BEGIN_MS) / LINK_FAULTS.length;
  await sleep(BEGIN_MS);
  for (const [index, fault] of LINK_FAULTS.entries()) {
    const link = links[index % links.length];
    if (link === undefined) throw new Error('No link');
    try {
      await fault.begin(link);
      await sleep(turnMs * FAULT_SHARE);
    } finally {
      await fault.end(link);
    }
    await sleep(turnMs * (1 - FAULT_SHARE));
  }
  const outcome = await fio.outcome;
  await stage.drop();
  return outcome;
}
