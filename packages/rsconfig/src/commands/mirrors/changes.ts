// Implements `mirror add`, `detach`, `replace` and `witness`, which change the replicas and voters of an attached mirror. rsiod executes
// the steps. Invariants: if rsiod could not remove something, the command that removes it is printed. A partial success ends with exit code
// 1.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { CONTROL_METHODS } from '@rsio/common/control/methods';
import type { ChangedMirror } from '@rsio/common/control/mirror-methods';
import { poolNameOf } from '@rsio/common/manage/volumes/values';
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
  details: `The command makes a volume on server S, which becomes a replica of the
mirror and is copied while applications write; rsconfig mirror list shows
the progress. The server votes from then on. A third replica takes the
place of the witness. A server that had a replica of the mirror before gets
all data again. This client must have the mirror attached.

A plain volume that no client has attached becomes a mirror: the volume
keeps its data as the first replica, and the one on server S is copied when
a client attaches the mirror. rsconfig mirror witness adds a third voter.

If a step fails, the command removes what it has made on the server, and
names what it could not remove.`,
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
  details: `The volume on server S becomes a plain volume with what was written until
now, and gets the name NAME-detached, so that nobody takes it for the mirror.
With --volume, the command removes it. The server stays a voter if the
mirror has three voters. The last replica that is in sync cannot be
removed.

The command also removes what a server has that does not belong to the
mirror any more, for example one that was away when it was replaced. If the
server or rsiod stops in the middle, the same command finishes the rest. It
leaves a volume that a client holds, or that has another size.`,
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
  details: `Server NEW gets a replica and a vote in the place of server OLD. Server OLD
may be away for ever; most voters must answer. The new replica is copied
while applications write. NEW may be OLD if that server has lost its disks.

If server OLD comes back later, it does no harm: its replica and its vote
count for nothing. rsconfig mirror detach NAME --server OLD --volume
removes them. While the replica on OLD is in sync, rsconfig mirror add and,
after the copy, mirror detach keep the number of replicas.`,
  options: {
    server: { kind: 'text', value: 'OLD', help: 'server that is replaced' },
    with: { kind: 'text', value: 'NEW', help: 'server that takes its place' },
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
  details: `Server S votes as the third server of a mirror with two replicas. The
server that has voted so far is dismissed. With --none, only the servers of
the replicas vote: the loss of either of two servers then stops the volume.
The command also makes a server a voter again that has lost its record of
the mirror.`,
  options: {
    server: { kind: 'text', value: 'S', help: 'server that votes and has no replica' },
    none: { kind: 'flag', help: 'the mirror has no witness' },
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
