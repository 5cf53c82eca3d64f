// `npm run drill -- postgres-app`: PostgreSQL as an application that moves between three nodes, on a mirror over three servers. Every machine is in
// its own network namespace. In each round, one thing happens to the node that runs it, or to its service. rounds.ts has the expected behaviour.

import { runDrill } from '../postgres-mirror/play.ts';
import { NODES } from './application.ts';
import { Rounds } from './rounds.ts';

const HELP = `usage: npm run drill -- postgres-app [--rounds N] [--seed S] [--keep FOLDER]

PostgreSQL as an application of three nodes, on a mirror of two replicas and a
witness, in network namespaces. Nodes and services fail, it is moved, and servers
are killed meanwhile. A client connects to the moving address. It needs root,
control groups of version 2, postgresql with pg_amcheck, e2fsprogs, xfsprogs,
iproute2, nftables and perl, and about 3 GB in the temporary folder.

  --rounds N      how many (default 30)
  --seed S        make the same choices again (a number; default: a new one)
  --keep FOLDER   copy all logs there at the end
  --help          print this help and exit
`;

process.exitCode = await runDrill({
  help: HELP,
  amount: ['rounds', '30'],
  nodes: NODES,
  play: (stage) => new Rounds(stage),
});
