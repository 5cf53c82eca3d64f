// Implements `mirror add`, `detach`, `replace` and `witness`, which change the replicas and voters of an attached mirror. rsiod executes
// the steps. Invariants: if rsiod could not remove something, the command that removes it is printed. A partial success ends with exit code
// 1.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import type { ChangedMirror } from '@rsio/api/rsiod/mirror-methods';
import { poolNameOf } from '@rsio/api/views/values';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { namedVolume } from '../server-volumes/find.ts';
import { insistently } from '../server-volumes/servers.ts';
import { changedText } from './mirror-texts.ts';
import { given, leftOver, MIRROR_NAMES, NAMESPACE } from './mirrors.ts';

const POOL = { kind: 'text', value: 'P', help: 'pool of the new replica; default: the server chooses' } as const;

export const MIRROR_ADD = defineCommand({
  call: { by: 'words', words: 'mirror add' },
  synopsis: 'mirror add NAME --server S [--pool P] [--namespace N]',
  summary: 'adds a replica to a mirror, or makes a volume a mirror',
  details: `The command makes a volume on server S a replica of the mirror, and server S
votes from then on. rsiod copies the data to the replica while applications
write; rsconfig mirror list shows the progress. A third replica takes the place
of the witness. If server S had a replica of the mirror before, all data is
copied again. If the mirror is replicated, server S gets the order, too. This
client must have the mirror attached.

If NAME is a plain volume that no client has attached, it becomes a mirror. The
volume keeps its data as the first replica. The replica on server S gets the
data when a client attaches the mirror. rsconfig mirror witness adds a third
voter.

If a step fails, the command removes what it has made on the server, and names
what it could not remove.`,
  options: {
    server: { kind: 'text', value: 'S', help: 'server of the new replica' },
    pool: POOL,
    namespace: NAMESPACE,
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS['mirror-add'].result,
  operands: { min: 1, max: 1 },
  completes: MIRROR_NAMES,
  run: async (context, { server, pool, namespace, json }, [written = '']) => {
    const params = {
      ...namedVolume(written, given('--namespace', namespace)),
      server: needed('--server', server, 'the server of the new replica'),
      ...newVolume(context, pool),
    };
    return told(context, json, await insistently(context, true, () => context.call('mirror-add', params)));
  },
});

export const MIRROR_DETACH = defineCommand({
  call: { by: 'words', words: 'mirror detach' },
  synopsis: 'mirror detach NAME --server S [--volume] [--namespace N]',
  summary: 'removes a replica from a mirror that this client has attached',
  details: `The replica on server S becomes a plain volume, keeps its data, and gets the
name NAME-detached, so that nobody mistakes it for the mirror. With --volume,
the command also removes this volume. The server stays a voter if the mirror has
three voters. The last replica that is in sync cannot be removed.

The command also removes remains of the mirror from a server that has no replica
any more, for example because the server was down when its replica was replaced.
If the server or rsiod stops during the command, repeat the command. The command
does not touch a volume that a client holds, or whose size differs from that of
the mirror.`,
  options: {
    server: { kind: 'text', value: 'S', help: 'server of the replica' },
    volume: { kind: 'flag', help: 'remove the volume, too' },
    namespace: NAMESPACE,
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS['mirror-detach'].result,
  operands: { min: 1, max: 1 },
  completes: MIRROR_NAMES,
  run: async (context, { server, volume, namespace, json }, [written = '']) => {
    const named = namedVolume(written, given('--namespace', namespace));
    const params = { ...named, server: needed('--server', server, 'the server of the replica'), volume };
    return told(context, json, await context.call('mirror-detach', params));
  },
});

export const MIRROR_REPLACE = defineCommand({
  call: { by: 'words', words: 'mirror replace' },
  synopsis: 'mirror replace NAME --server OLD --with NEW [--pool P]\n[--namespace N]',
  summary: 'replaces a server of a mirror that this client has attached',
  details: `Server NEW gets a replica and a vote in place of server OLD. Server OLD may be
lost for good, but most voters must answer. rsiod copies the data to the new
replica while applications write. NEW may be the same server as OLD if that
server has lost its disks. If the mirror is replicated, NEW gets the order, too.

If server OLD comes back later, its replica and its vote have no effect.
rsconfig mirror detach NAME --server OLD --volume removes them. If the replica
on OLD is still in sync, use rsconfig mirror add, and after the copy rsconfig
mirror detach, so that the number of replicas in sync never falls.`,
  options: {
    server: { kind: 'text', value: 'OLD', help: 'server that is replaced' },
    with: { kind: 'text', value: 'NEW', help: 'server that takes the place of OLD' },
    pool: POOL,
    namespace: NAMESPACE,
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS['mirror-replace'].result,
  operands: { min: 1, max: 1 },
  completes: MIRROR_NAMES,
  run: async (context, { server, with: other, pool, namespace, json }, [written = '']) => {
    const params = {
      ...namedVolume(written, given('--namespace', namespace)),
      server: needed('--server', server, 'the server that is replaced'),
      with: needed('--with', other, 'the server that takes its place'),
      ...newVolume(context, pool),
    };
    return told(context, json, await insistently(context, true, () => context.call('mirror-replace', params)));
  },
});

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
    return told(context, json, await context.call('mirror-witness', { ...named, witness: given('--server', server) }));
  },
});

function newVolume({ newId }: CommandContext, pool: string | null): { readonly pool: string | null; readonly request: string } {
  return { pool: pool === null ? null : poolNameOf('--pool', pool, 'rsconfig'), request: newId() };
}

function needed(option: string, value: string | null, what: string): string {
  const name = given(option, value);
  if (name === null) throw usageError(`No ${option}: give ${what}`);
  return name;
}

function told(context: CommandContext, json: boolean, changed: ChangedMirror): number {
  if (json) printJson(context, changed);
  else context.out(changedText(changed.mirror));
  if (!json) for (const sentence of changed.warnings) context.note(sentence);
  for (const sentence of changed.left) leftOver(context, sentence);
  return changed.left.length === 0 ? 0 : 1;
}
