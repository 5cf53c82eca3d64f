// Implements `mirror create`. rsiod executes the steps on the servers and undoes them after a failure. Invariant: a mirror that was created
// and not attached is an error that says so.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { MIRROR } from '@rsio/api/views/mirror-views';
import { list, object, orNull, text } from '@rsio/base/lib/shape';
import { toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { poolNameOf, sizeOf } from '@rsio/api/views/values';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { formatOutcome } from '../../output/format.ts';
import { given, NAMESPACE } from '../client-commands.ts';
import { namedVolume } from '../server-volumes/find.ts';
import { insistently } from '../server-volumes/servers.ts';
import { createdText } from '@rsio/api/views/mirror-texts';

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
