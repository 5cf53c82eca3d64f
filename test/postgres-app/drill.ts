// `npm run drill -- postgres-app`: PostgreSQL as an application that moves between three nodes, on a mirror over three servers. Every machine is in
// its own network namespace. In each round, one thing happens to the node that runs it, or to its service. rounds.ts has the expected behaviour.

import { makeSite } from '../postgres-mirror/machines.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { KEEP, keepLogs } from '../support/drills/keep-logs.ts';
import { CGROUPS, DEVICES, EXT4, NETLAB, POSTGRESQL, program, XFS } from '../support/drills/needs.ts';
import { count, seed } from '../support/drills/options.ts';
import { NODES } from './application.ts';
import { Rounds } from './rounds.ts';

export const drill = defineDrill({
  about: `PostgreSQL as an application of three nodes, on a mirror of two replicas and a witness, in network namespaces. Nodes and services fail, it is
    moved, and servers are killed meanwhile. A client connects to the moving address. The temporary folder needs about 3 GB.`,
  needs: [DEVICES, CGROUPS, POSTGRESQL, EXT4, XFS, NETLAB, program('perl', 'perl')],
  own: 'mounts',
  options: { rounds: count(30, 'how many'), seed: seed(), keep: KEEP },
  async play(scene, { rounds: limit, keep }) {
    const site = await makeSite(scene.hosts, scene.netlab, NODES);
    keepLogs(scene, [...site.servers, ...site.clients], keep);
    const rounds = new Rounds(scene, site, limit);
    scene.atEnd(() => rounds.summary);
    await rounds.run();
  },
});
