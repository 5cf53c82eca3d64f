// The commands of rsadm and rsconfig about replications to another server. rssrv decides whether a change is permitted, and executes the
// change. Invariant: each command that changes something sends an id with its request, so that the request is never executed twice.

import { type Command, JSON_OPTION, makeCommand, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { duration } from '@rsio/common/config/schema/value-types';
import { REPLICATION_EVERY_MAX_MS, REPLICATION_EVERY_MIN_MS, REPLICATION_KEEP_MAX } from '@rsio/common/control/limits';
import { REPLICATION, type ReplicationView } from '../../views/views.ts';
import { escapeControls } from '@rsio/base/lib/printable';
import { object, orNull } from '@rsio/base/lib/shape';
import { isName, NAME_ALLOWED, parseWhole, printDuration, quoteText } from '@rsio/base/lib/units';
import { sameServer, type VolumeDoor, type VolumeProgram, type VolumeTarget } from './door.ts';
import { sizeOf, valueOf } from '../../views/values.ts';

type ReplicationCommand = Command<VolumeDoor>;

const EVERY = duration(REPLICATION_EVERY_MIN_MS, REPLICATION_EVERY_MAX_MS);
const KEEP_DEFAULT = 3;

interface Settings {
  readonly to: string | null;
  readonly every: string | null;
  readonly keep: string | null;
  readonly limit: string | null;
  readonly reversible: string | null;
}

export function replicateCommand(given: VolumeProgram): ReplicationCommand {
  const { program } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume replicate' },
    synopsis:
      'volume replicate NAME... --to [POOL@]CLIENT --every TIME\n[--keep N] [--limit RATE] [--reversible PEER]\nvolume replicate NAME... --end [--force]',
    summary: 'keeps copies of volumes on another server',
    details: `The other server is a client of this one: CLIENT is its name in [clients], and
it may attach the volumes. Its rssrvcfg has a section [peer] of this server. It
asks for a moment every TIME, which is a snapshot of all volumes of the command
at once, and copies what differs from its last moment. Its copies, the
followers, have the names of the volumes. They are in POOL; without POOL, the
other server chooses the pool. Both servers keep the last N moments, by default
${KEEP_DEFAULT}. Clients may write all the time. The pools need a file system with
reflink. A mirror is replicated alone, by rsconfig on its client.

With --reversible, the other server, which has the section [peer PEER] here, may
take the volumes over without loss (volume reverse there): this server then
closes them and follows. Without it, no order of another server closes them.

The same command with other values of --every, --keep, --limit or --reversible
changes them.
Followers stay in the pool in which they are; another POOL counts for new ones.
A volume has at most one replication. With --end, the command ends the
replication of the volumes, which must all be named. The other server keeps the
followers, and the last moments stay as snapshots of the volumes. While the
volumes are being handed over (volume reverse), --end needs --force, which keeps
them here: the other server may then have promoted its followers already.`,
    options: {
      to: { kind: 'text', value: '[POOL@]CLIENT', help: 'server that copies, by its name as a client,\nand the pool for its followers' },
      every: {
        kind: 'text',
        value: 'TIME',
        help: `time from one moment to the next, such as 5m,\nat least ${printDuration(REPLICATION_EVERY_MIN_MS)}`,
      },
      keep: { kind: 'text', value: 'N', help: `moments that both servers keep; default: ${KEEP_DEFAULT}` },
      limit: { kind: 'text', value: 'RATE', help: 'copy at most RATE bytes per second, such as 50m' },
      reversible: { kind: 'text', value: 'PEER', help: 'let the server with this section [peer] take the\nvolumes over (volume reverse)' },
      end: { kind: 'flag', help: 'end the replication' },
      force: { kind: 'flag', help: 'with --end: also while the volumes are being handed over' },
      json: JSON_OPTION,
    },
    json: object({ ...given.place, replication: orNull(REPLICATION, 'null: only marks were left') }),
    operands: { min: 1, max: Number.POSITIVE_INFINITY },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { end, force, json, ...settings }, names) => {
      if (force && !end) throw usageError('--force is given without --end', program);
      const wanted = end ? noSettings(settings, program) : settingsOf(settings, program);
      const found: VolumeTarget[] = [];
      for (const name of names) found.push(await door.find(name, 'change'));
      const target = sameServer(found, 'volumes that are replicated together', program);
      const volumes = found.map(({ volume }) => volume);
      const request = door.newId();
      const answer =
        wanted === null
          ? await target.call('volume-replicate-end', { volumes, force, request })
          : await target.call('volume-replicate', { volumes, ...wanted, request });
      if (json) return printJson(door, { ...target.place, ...answer });
      const labels = volumes.map((volume) => target.label(volume)).join(', ');
      door.out(toText([doneText(labels, wanted === null, answer.replication)]));
      return undefined;
    },
  });
}

/** Returns the parameters of the method. Throws E_USAGE. */
function settingsOf({ to, every, keep, limit, reversible }: Settings, program: string) {
  if (to === null) throw usageError('No server: give --to [POOL@]CLIENT', program);
  if (every === null) throw usageError('No time: give --every TIME, such as --every 5m', program);
  const [, pool = null, client = ''] = /^(?:(.*)@)?([^@]*)$/s.exec(to) ?? [];
  if (!isName(client) || (pool !== null && !isName(pool)))
    throw usageError(`Wrong --to ${quoteText(to)}: give CLIENT or POOL@CLIENT, each ${NAME_ALLOWED}`, program);
  const number = keep === null ? KEEP_DEFAULT : parseWhole(keep);
  if (number === undefined || number < 1 || number > REPLICATION_KEEP_MAX)
    throw usageError(`Wrong --keep ${quoteText(keep ?? '')}: allowed is 1 to ${REPLICATION_KEEP_MAX}`, program);
  const limitBytes = limit === null ? null : sizeOf('--limit', limit, program);
  return { to: client, pool, everyMs: valueOf('--every', every, EVERY, program), keep: number, limitBytes, reversible };
}

/** Throws E_USAGE if a setting is given. */
function noSettings(settings: Settings, program: string): null {
  const [other] = Object.entries(settings).flatMap(([name, value]) => (value === null ? [] : [name]));
  if (other !== undefined) throw usageError(`Both --end and --${other} are given: give one of them`, program);
  return null;
}

function doneText(labels: string, hasEnded: boolean, replication: ReplicationView | null): string {
  if (replication === null) return `${labels}: no longer replicated`;
  const { peer, everyMs, keep, momentMs } = replication;
  const to = escapeControls(peer);
  if (!hasEnded) return `${labels}: replicated to ${to} every ${printDuration(everyMs)}, ${keep} moments are kept`;
  return `${labels}: no longer replicated to ${to}${momentMs === null ? '' : '; the last moments stay as snapshots'}`;
}
