// Implements `mirror create`, `list` and `remove`. rsiod executes the steps on the servers and undoes them after a failure. Invariants: if
// rsiod could not remove something, the command that removes it is printed. A partial success ends with exit code 1.

import { JSON_OPTION, type OptionSpec, printJson } from '@rsio/common/cli/command';
import { type AttachOutcome, CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { MIRROR } from '@rsio/api/rsiod/mirror-methods';
import { list, object, orNull, text } from '@rsio/base/lib/shape';
import { toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { poolNameOf, sizeOf } from '@rsio/api/views/values';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { formatOutcome } from '../../output/format.ts';
import { namedVolume } from '../server-volumes/find.ts';
import { insistently } from '../server-volumes/servers.ts';
import { createdText, mirrorTable, mirrorTroubles, removedText, twins } from './mirror-texts.ts';

export const NAMESPACE = { kind: 'text', value: 'N', help: 'use only servers of namespace N' } as const satisfies OptionSpec;

/** Shell command that lists the names of mirrors for completion. */
export const MIRROR_NAMES = `"\${ask[@]}" mirror list | tail -n +2 | cut -d' ' -f1 | sed 's/^[^:]*://'`;

export const MIRROR_CREATE = defineCommand({
  call: { by: 'words', words: 'mirror create' },
  synopsis:
    'mirror create NAME --size SIZE --servers A,B[,C] [--witness W]\n[--pool P | --pool A=P,B=Q] [--block-size N] [--attach]\n[--namespace N]',
  summary: 'creates a volume with replicas on two or three servers',
  details: `A mirror is one volume with a replica on each of these servers. The client that
attaches the mirror writes to all replicas. Three servers vote on which replicas
are in sync and which client has the mirror, so any one of these servers may
fail. With two replicas, the third voter is the witness, a server that keeps
only a small file. Without --witness, the loss of either server stops the volume
until that server returns.

The client needs the right manage in [rights] on the servers of the replicas. On
the witness, the client needs that right, unless the rssrvcfg(5) of the witness
has witness = yes. If a step fails, the command removes what it has made, and
names what it could not remove.

With --attach, the command also attaches the mirror and prints its device.`,
  options: {
    size: { kind: 'text', value: 'SIZE', help: 'size of the mirror, such as 20g' },
    servers: { kind: 'text', value: 'LIST', help: 'servers of the replicas, separated by commas' },
    witness: { kind: 'text', value: 'W', help: 'server that votes and has no replica' },
    pool: { kind: 'text', value: 'P', help: 'pool on all servers, or A=P,B=Q; default: servers choose' },
    'block-size': { kind: 'text', value: 'N', help: 'block size that clients see: 512 (default) or 4096' },
    attach: { kind: 'flag', short: 'a', help: 'attach the mirror, too' },
    namespace: NAMESPACE,
    json: JSON_OPTION,
  },
  json: object({ mirror: MIRROR, warnings: list(text()), device: orNull(text(), 'null: not attached, or no device') }),
  operands: { min: 1, max: 1 },
  run: async (context, { size, servers, witness, pool, 'block-size': block, attach, namespace, json }, [written = '']) => {
    if (size === null) throw usageError('No --size: give the size of the mirror, such as 20g');
    if (servers === null) throw usageError('No --servers: give the servers of the replicas, such as big-9,big-8');
    if (block !== null && block !== '512' && block !== '4096') throw usageError(`Wrong --block-size ${block}: allowed is 512 or 4096`);
    const named = namedVolume(written, given('--namespace', namespace));
    const params = {
      ...named,
      sizeBytes: sizeOf('--size', size, 'rsconfig'),
      blockSizeBytes: Number(block ?? '512'),
      servers: servers.split(',').map((one) => given('--servers', one) ?? ''),
      witness: given('--witness', witness),
      ...poolsOf(pool),
      request: context.newId(),
    };
    const { mirror, warnings } = await insistently(context, true, () => context.call('mirror-create', params));
    const outcome = attach ? await attached(context, volumeLabel(mirror)) : null;
    if (json) printJson(context, { mirror, warnings, device: outcome?.device ?? null });
    else {
      context.out(createdText(mirror));
      for (const warning of warnings) context.note(warning);
      if (outcome?.done === true) context.out(formatOutcome(outcome, 'attached'));
    }
    if (outcome === null || outcome.done) return undefined;
    const { code, message } = outcome.error ?? { code: 'E_INTERNAL', message: 'rsiod gave no reason: see its log (rsclogcat)' };
    context.report(code, `${outcome.volume} was created and is not attached: ${message}; rsconfig -a ${outcome.volume} attaches it`);
    return 1;
  },
});

/** Parses --pool: `P` for all servers, or `A=P,B=Q` for the servers A and B. Throws E_USAGE. */
function poolsOf(text: string | null): { readonly pool: string | null; readonly pools?: readonly { server: string; pool: string }[] } {
  if (text === null) return { pool: null };
  if (!text.includes('=')) return { pool: poolNameOf('--pool', text, 'rsconfig') };
  const pools = text.split(',').map((one) => {
    const [server = '', pool, more] = one.split('=');
    if (server === '' || pool === undefined || more !== undefined)
      throw usageError(`Wrong --pool ${quoteText(text)}: allowed is a pool, or SERVER=POOL of each server, with commas`);
    return { server, pool: poolNameOf('--pool', pool, 'rsconfig') };
  });
  const twice = pools.find(({ server }, index) => pools.findIndex((one) => one.server === server) !== index);
  if (twice !== undefined) throw usageError(`Wrong --pool ${quoteText(text)}: server ${twice.server} has two pools`);
  return { pool: null, pools };
}

export const MIRROR_LIST = defineCommand({
  call: { by: 'words', words: 'mirror list' },
  synopsis: 'mirror list [--namespace N]',
  summary: 'lists the mirrors with their holders and replicas in sync',
  details: `The list shows what a majority of the voters of each mirror has recorded. IN
SYNC names the servers whose replicas have every write, and OTHER the servers
whose replicas lack writes. The list marks a server that does not answer as
(silent), and a server whose replica or record of the mirror cannot be used as
(unusable). A mirror is listed if a server with one of its replicas is
connected.`,
  options: { namespace: NAMESPACE, json: JSON_OPTION },
  json: CONTROL_METHODS.mirrors.result,
  run: async (context, { namespace, json }) => {
    const answer = await context.call('mirrors', { namespace: given('--namespace', namespace) });
    const { mirrors, gaps } = answer;
    if (json) printJson(context, answer);
    else {
      if (mirrors.length > 0) context.out(mirrorTable(mirrors));
      for (const sentence of [...mirrors.flatMap(mirrorTroubles), ...twins(mirrors), ...gaps]) context.note(sentence);
      if (mirrors.length === 0 && gaps.length === 0) context.note('No mirror: rsconfig mirror create NAME makes one');
    }
    return gaps.length === 0 ? 0 : 1;
  },
});

export const MIRROR_REMOVE = defineCommand({
  call: { by: 'words', words: 'mirror remove' },
  synopsis: 'mirror remove NAME [--volumes] [--force] [--id ID]\n[--namespace N]',
  summary: 'dissolves a mirror that no client has attached',
  details: `The replicas become plain volumes. Each volume keeps its name, but a replica
that lacks writes gets the name NAME-detached. The servers are no longer voters
of the mirror. The output says which volumes have every write. With --volumes,
the command also removes the volumes; rsconfig volume restore brings them back
for a day.

The command is refused if a client has the mirror attached, if a client has
exited without detaching it, or if most voters do not answer. With --force, the
command removes the mirror even then, and the client loses the mirror. After
rsconfig mirror force, two mirrors may have this name; --id chooses one of them.`,
  options: {
    volumes: { kind: 'flag', help: 'remove the volumes, too' },
    force: { kind: 'flag', help: 'remove the mirror even if a client may have it attached' },
    id: { kind: 'text', value: 'ID', help: 'id of the mirror, if two have this name' },
    namespace: NAMESPACE,
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS['mirror-remove'].result,
  operands: { min: 1, max: 1 },
  completes: MIRROR_NAMES,
  run: async (context, { volumes, force, id, namespace, json }, [written = '']) => {
    const named = namedVolume(written, given('--namespace', namespace));
    const removed = await context.call('mirror-remove', { ...named, volumes, force, id: given('--id', id) });
    if (json) printJson(context, removed);
    else context.out(removedText(removed));
    for (const sentence of removed.left) leftOver(context, sentence);
    return removed.left.length === 0 ? 0 : 1;
  },
});

/** Attaches the new mirror. An error becomes part of the outcome and is not thrown, because the mirror has already been created. */
async function attached({ call }: CommandContext, label: string): Promise<AttachOutcome> {
  const failed = (error: AttachOutcome['error']): AttachOutcome => ({ volume: label, done: false, already: false, device: null, error });
  try {
    const { outcomes } = await call('attach', { names: [label], readOnly: false, server: null, take: 'no' });
    return outcomes[0] ?? failed(null);
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    return failed({ code, message });
  }
}

export function leftOver({ note }: CommandContext, sentence: string): void {
  note(`Left behind: ${sentence}`);
}

/** Returns the value of an option; null if the option is not given. Throws E_USAGE if the value is empty. */
export function given(option: string, value: string | null): string | null {
  if (value === '') throw usageError(`${option} has an empty name: give a name`);
  return value;
}
