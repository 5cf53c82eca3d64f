// `npm run drill -- postgres-mirror`: PostgreSQL on a mirror over three servers, every machine in its own network namespace. About every 20 s, one
// server is killed, loses power, is cut off or is stopped. In some rounds the client is lost, and the other client takes over. campaign.ts
// has the expected behaviour.

import { defineDrill } from '../support/drills/harness.ts';
import { KEEP, keepLogs } from '../support/drills/keep-logs.ts';
import { DEVICES, EXT4, NETLAB, POSTGRESQL, XFS } from '../support/drills/needs.ts';
import { amount, seed } from '../support/drills/options.ts';
import { Campaign } from './campaign.ts';
import { makeSite } from './machines.ts';

export const drill = defineDrill({
  about: `PostgreSQL on a mirror of two replicas and a witness, in network namespaces, with a fault every 20 s and take-overs by a second client. The
    temporary folder needs about 3 GB.`,
  needs: [DEVICES, POSTGRESQL, EXT4, XFS, NETLAB],
  own: 'mounts',
  options: { minutes: amount(20, 'how long'), seed: seed(), keep: KEEP },
  async play(scene, { minutes, keep }) {
    const site = await makeSite(scene.hosts, scene.netlab, ['big-2', 'venus']);
    keepLogs(scene, [...site.servers, ...site.clients], keep);
    const campaign = new Campaign(scene, site, minutes);
    scene.atEnd(() => campaign.summary);
    await campaign.run();
  },
});
