// Implements `mirror witness`, which changes the voter of an attached mirror that has no replica. Invariant: one of its two options is given.

import { JSON_OPTION } from '@rsio/common/cli/command';
import { printSaid } from '@rsio/api/manage/derived';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { changedSaid } from '@rsio/api/rsiod/mirror-methods';
import { given, MIRROR_NAMES, NAMESPACE } from '../client-commands.ts';
import { defineCommand, usageError } from '../../cli/context.ts';
import { namedVolume } from '../server-volumes/find.ts';

export const MIRROR_WITNESS = defineCommand({
  call: { by: 'words', words: 'mirror witness' },
  synopsis: 'mirror witness NAME {--server S | --none} [--namespace N]',
  summary: 'changes the witness of a mirror that this client has attached',
  details: `Server S votes as the third server of a mirror with two replicas, and replaces
the current witness. With --none, only the servers of the replicas vote: the
loss of either server then stops the volume. If a server has lost its record of
the mirror, the command also makes it a voter again.`,
  options: {
    server: { kind: 'text', value: 'S', help: 'server that votes and has no replica' },
    none: { kind: 'flag', help: 'let only the servers of the replicas vote' },
    namespace: NAMESPACE,
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS['mirror-witness'].result,
  operands: { min: 1, max: 1 },
  completes: MIRROR_NAMES,
  run: async (context, { server, none, namespace, json }, [written = '']) => {
    if (none === (server !== null)) throw usageError('Give either --server with the server that votes, or --none');
    const named = namedVolume(written, given('--namespace', namespace));
    const changed = await context.call('mirror-witness', { ...named, witness: given('--server', server) });
    return printSaid(context, changedSaid(changed), json ? changed : null);
  },
});
