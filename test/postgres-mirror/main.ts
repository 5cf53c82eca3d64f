// `npm run drill -- postgres-mirror`: PostgreSQL on a mirror over three servers, every machine in its own network namespace. About every 20 s, one
// server is killed, loses power, is cut off or is stopped. In some rounds the client is lost, and the other client takes over. campaign.ts
// has the expected behaviour.

import { Campaign } from './campaign.ts';
import { runDrill } from './play.ts';

const HELP = `usage: npm run drill -- postgres-mirror [--minutes N] [--seed S] [--keep FOLDER]

PostgreSQL on a mirror of two replicas and a witness, in network namespaces, with a fault every 20 s and take-overs by a second client.
It needs root, postgresql with pg_amcheck, e2fsprogs, xfsprogs, iproute2 and nftables, and about 3 GB in the temporary folder.

  --minutes N     how long (default 20)
  --seed S        make the same choices again (a number; default: a new one each time)
  --keep FOLDER   copy all logs there at the end
  --help          print this help and exit
`;

process.exitCode = await runDrill({
  help: HELP,
  amount: ['minutes', '20'],
  nodes: ['big-2', 'venus'],
  play: ({ site, random, say, amount }) => new Campaign(site, random, say, amount),
});
