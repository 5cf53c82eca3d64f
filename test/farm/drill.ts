// `npm run drill -- farm`: a farm of three servers with two pools on Ceph, and four clients under verified load. In each round, a pool is
// moved, or its owner is killed, frozen or cut off, or loses its power; campaign.ts has the expected behaviour.

import { defineDrill } from '../support/drills/harness.ts';
import { KEEP, keepLogs } from '../support/drills/keep-logs.ts';
import { CEPH, DEVICES, EXT4, FIO, NETLAB, POSTGRESQL, XFS } from '../support/drills/needs.ts';
import { amount, choice, count, optional, seed } from '../support/drills/options.ts';
import { Campaign, pausesTable } from './campaign.ts';
import { EVENTS } from './events.ts';
import { LOADS, startLoads } from './loads.ts';
import { makeSite } from './machines.ts';

const NAMES = EVENTS.map(({ name }) => name);

export const drill = defineDrill({
  about: `Three servers share two pools on a Ceph cluster of this machine, in network namespaces. Two fio with verification, a judge of each block, and
    PostgreSQL with a ledger work on the pools, while the owners of the pools are moved, killed, frozen, cut off and lose their power.`,
  needs: [DEVICES, CEPH, NETLAB, FIO, POSTGRESQL, EXT4, XFS],
  own: 'mounts',
  options: {
    rounds: count(30, 'number of events'),
    seed: seed(),
    only: optional(choice('EVENT', NAMES, 'only this event', NAMES[0]!)),
    takeOver: amount(5, 'take-over-after of the pools', { value: 'SECONDS' }),
    keep: KEEP,
  },
  async play(scene, { rounds, only, takeOver, keep }) {
    const site = await makeSite(scene.hosts, scene.netlab, Object.keys(LOADS), takeOver);
    keepLogs(scene, [...site.servers, ...site.clients], keep);
    const campaign = new Campaign(scene, site, await startLoads(site), takeOver * 1000);
    scene.atEnd(() => [
      ...(campaign.pauses.length === 0 ? [] : [pausesTable(campaign.pauses).trimEnd()]),
      ...campaign.late.map((late) => `LATE ${late}`),
      `${campaign.late.length} pauses too long`,
    ]);
    await campaign.run(rounds, only);
    scene.at('end');
    await campaign.finish();
  },
});
