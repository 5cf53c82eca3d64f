// Implements `mirror verify`, which makes rsiod compare the replicas of a mirror. If the user stops the command, rsiod continues the
// comparison. Invariant: the exit code is 0 only if everything was compared and no difference is left.

import { sleep } from '@rsio/base/lib/waiting';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import type { VerificationView } from '@rsio/api/views/mirror-views';
import { RsError } from '@rsio/base/lib/errors';
import { shownSize } from '@rsio/base/lib/units';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { VERIFY_LOOK_MS } from '../../limits.ts';
import { namedVolume } from '../server-volumes/find.ts';
import { given, MIRROR_NAMES, NAMESPACE } from '../client-commands.ts';

export const MIRROR_VERIFY = defineCommand({
  call: { by: 'words', words: 'mirror verify' },
  synopsis: 'mirror verify NAME [--repair [--from SERVER]] [--stop]\n[--namespace N]',
  summary: 'compares the replicas of an attached mirror',
  details: `The servers compute checksums of their replicas in sync, and rsiod compares the
checksums while programs use the mirror. verify-rate in rscltcfg(5) limits the
speed. The command prints the ranges that differ, and ends with exit code 1 if
there are any.

Replicas in sync differ only if the storage, or a program on a server, has
changed data without rssrv. Only you can know which replica is right: look at
the data of each replica before you repair. With --repair, rsiod copies the
differing ranges to the other replicas. The source is the replica on the server
of --from, or by default the first replica in sync.

If the command is interrupted, rsiod continues the comparison. Repeat the
command to wait for the end, or give --stop to end the comparison.`,
  options: {
    repair: { kind: 'flag', help: 'copy the ranges that differ to the other replicas' },
    from: { kind: 'text', value: 'SERVER', help: 'server whose replica is right' },
    stop: { kind: 'flag', help: 'end the current comparison' },
    namespace: NAMESPACE,
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS['mirror-verification'].result,
  operands: { min: 1, max: 1 },
  completes: MIRROR_NAMES,
  run: async (context, { repair, from, stop, namespace, json }, [written = '']) => {
    if (from !== null && !repair) throw usageError('--from says what to repair from: give --repair, too');
    if (stop && repair) throw usageError('--stop and --repair exclude each other: give one');
    const named = namedVolume(written, given('--namespace', namespace));
    if (stop) await context.call('mirror-verify-stop', named);
    else await begun(context, named, repair, from);
    const verification = await ended(context, named);
    if (json) printJson(context, { verification });
    else context.out(verifiedText(verification));
    if (verification.stopped !== null && !json) context.note(`${verification.volume} was not compared to the end: ${verification.stopped}`);
    if (verification.unread !== null && !json)
      context.note(`${shownSize(verification.unreadBytes)} could not be read and were not compared, the first ${verification.unread}`);
    const isWhole = verification.stopped === null && verification.unreadBytes === 0;
    return isWhole && verification.differentBytes === verification.repairedBytes ? 0 : 1;
  },
});

type Named = ReturnType<typeof namedVolume>;

/**
 * Starts a comparison. If a comparison is already running and no repair is requested, the function starts none, and the command waits for
 * the running one.
 */
async function begun({ call }: CommandContext, named: Named, repair: boolean, from: string | null): Promise<void> {
  const { verification } = await call('mirror-verification', named);
  if (verification?.isRunning === true && !repair) return;
  await call('mirror-verify', { ...named, repair, from });
}

async function ended(context: CommandContext, named: Named): Promise<VerificationView> {
  let told: string | null = null;
  for (;;) {
    const { verification } = await context.call('mirror-verification', named);
    if (verification === null) throw new RsError('E_UNKNOWN_VOLUME', 'Nothing is compared: rsconfig mirror verify NAME begins');
    if (!verification.isRunning) return verification;
    const { waitsFor, comparedBytes, sizeBytes, volume } = verification;
    const tenths = Math.floor((10 * comparedBytes) / Math.max(1, sizeBytes));
    const now = waitsFor === null ? `${tenths * 10}% of ${volume} is compared` : `${volume} waits: ${waitsFor}`;
    if (told !== now && (told !== null || waitsFor !== null)) context.note(now);
    told = now;
    await sleep(context.clock, VERIFY_LOOK_MS);
  }
}

function verifiedText({ volume, comparedBytes, differentBytes, repairedBytes, ranges, unread }: VerificationView): string {
  const compared = `${shownSize(comparedBytes)} of ${volume} compared`;
  if (differentBytes === 0) return toText([`${compared}: ${unread === null ? 'the replicas are equal' : 'what could be read is equal'}`]);
  const lines = ranges.map(
    ({ beginBytes, endBytes, servers, isRepaired }) =>
      `    bytes ${beginBytes} to ${endBytes - 1}: ${servers.join(' and ')} ${servers.length === 1 ? 'differs' : 'differ'}${isRepaired ? ', repaired' : ''}`,
  );
  const shown = ranges.reduce((sum, { beginBytes, endBytes }) => sum + endBytes - beginBytes, 0);
  const more = shown < differentBytes ? [`    and ${shownSize(differentBytes - shown)} more`] : [];
  const repaired = repairedBytes === 0 ? '' : `, ${shownSize(repairedBytes)} repaired`;
  return toText([`${compared}: ${shownSize(differentBytes)} differ${repaired}`, ...lines, ...more]);
}
