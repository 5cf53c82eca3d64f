// Implements `mirror force`, which makes a mirror from the replicas that are left when most voters are gone. Invariant: rsiod changes
// nothing before the user has confirmed the list of possible losses or has given --yes.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import type { ForcedMirror } from '@rsio/api/views/mirror-views';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { namedVolume } from '../server-volumes/find.ts';

export const MIRROR_FORCE = defineCommand({
  call: { by: 'words', words: 'mirror force' },
  synopsis: 'mirror force NAME --servers A[,B[,C]] [--stale] [--yes]\n[--namespace N]',
  summary: 'makes a new mirror from the replicas that are left',
  details: `A mirror stops if most of its voters do not answer, because another client may
still reach these voters and use the mirror. If the voters are gone for good,
this command makes a new mirror from the replicas on the named servers. These
servers are the only voters of the new mirror. A named server without a replica
becomes a witness. The mirror must not be attached on this machine.

First, the command says what may be lost, and asks for confirmation. Without a
terminal, it needs --yes. The command is refused if no named server is known to
have a replica in sync. With --stale, the command then uses the replica on the
first named server, and the writes that this replica lacks are lost.

The new mirror has the name of the old mirror and another id, so it never uses
replicas of the old mirror that come back. rsconfig mirror list says how to
remove these replicas. Nothing keeps a client from using the old mirror on
servers that you believe to be gone: turn these servers off first.`,
  options: {
    servers: { kind: 'text', value: 'LIST', help: 'servers that are left, separated by commas' },
    stale: { kind: 'flag', help: 'use a replica that is not in sync' },
    yes: { kind: 'flag', help: 'do not ask' },
    namespace: { kind: 'text', value: 'N', help: 'use only servers of namespace N' },
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS['mirror-force'].result,
  operands: { min: 1, max: 1 },
  completes: `"\${ask[@]}" mirror list | tail -n +2 | cut -d' ' -f1 | sed 's/^[^:]*://'`,
  run: async (context, { servers, stale, yes, namespace, json }, [written = '']) => {
    if (servers === null) throw usageError('No --servers: name the servers that are left');
    if (namespace === '') throw usageError('--namespace has an empty name: give a name');
    const names = servers.split(',');
    if (names.includes('')) throw usageError(`--servers has an empty name: ${servers}`);
    if (!yes && context.ask === null) throw usageError('Forcing needs consent: give --yes');
    const params = { ...namedVolume(written, namespace), servers: names, stale };
    const plan = await context.call('mirror-force', { ...params, seen: null });
    for (const sentence of plan.lost) context.note(sentence);
    if (!yes && !(await consents(context, plan))) {
      context.note('Nothing was changed');
      return 1;
    }
    const forced = await context.call('mirror-force', { ...params, seen: plan.seen });
    if (json) printJson(context, forced);
    else context.out(forcedText(forced));
    for (const sentence of forced.warnings) context.note(sentence);
    for (const sentence of forced.left) context.note(`Left behind: ${sentence}`);
    return forced.left.length === 0 ? 0 : 1;
  },
});

async function consents({ ask }: CommandContext, plan: ForcedMirror): Promise<boolean> {
  const answer = (await ask?.(`Make ${volumeLabel(plan)} anew of ${placesOf(plan)}? [y/N] `)) ?? '';
  return /^y(es)?$/i.test(answer.trim());
}

function placesOf({ replicas }: ForcedMirror): string {
  return replicas.map(({ server, inSync }) => `${server} (${inSync ? 'in sync' : 'not in sync'})`).join(' and ');
}

function forcedText(forced: ForcedMirror): string {
  const { voters, replicas } = forced;
  const witnesses = voters.filter((name) => !replicas.some(({ server }) => server === name));
  const label = volumeLabel(forced);
  // The printed command contains --server, because two volumes have this name until the lost servers are removed from the client's file.
  return toText([
    `${label} is on ${placesOf(forced)}${witnesses.map((name) => `, witness ${name}`).join('')}`,
    `    rsconfig -a ${label} --server ${replicas[0]?.server ?? ''} attaches it`,
  ]);
}
