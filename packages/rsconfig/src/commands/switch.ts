// Implements switch, which detaches volumes and attaches those of another server. Invariants: nothing is detached unless the other server
// offers all volumes, none of them as a follower. Without force, a volume that cannot be attached there is attached again where it was.

import { type AttachmentView, type AttachOutcome, CONTROL_METHODS, type NamespaceView } from '@rsio/api/rsiod/methods';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { type CommandContext, defineCommand, usageError } from '../cli/context.ts';
import { quoteText } from '@rsio/base/lib/units';
import { volumeText } from '@rsio/api/views/server-tables';
import { checkNames, printOutcomes } from './attach.ts';
import { reportLosses } from './forced-losses.ts';
import { withProgress } from './volume-waiting.ts';

export const SWITCH = defineCommand({
  call: { by: 'words', words: 'switch' },
  synopsis: 'switch NAME... --server S [--force]',
  summary: 'detaches volumes, and attaches those of another server',
  details: `After the followers of a replication were promoted on server S, or have become
the source there, this client uses them in place of the volumes of the same
names. The command detaches each volume, and attaches the volume with its name
of server S. Unmount file systems and end programs first: a volume in use is not
detached. With --force, a volume is detached even if it is in use, or if its
server is lost: what its programs have written and the server has not stored is
lost then. If server S does not offer a volume, or has only its follower,
nothing is detached. If a volume of server S cannot be attached, the earlier one
is attached again, except after --force.`,
  options: {
    server: { kind: 'text', value: 'S', help: 'server with the other volumes' },
    force: { kind: 'flag', help: 'also if a volume is in use or its server is lost' },
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS.attach.result,
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  completes: `"\${ask[@]}" -l | sed 's/^[^:]*://; s/ .*//; s/@[0-3]$//'`,
  run: async (context, { server, force, json }, names) => {
    if (server === null || server === '') throw usageError('No server: give --server S');
    checkNames(names);
    const { namespaces } = await context.call('query', { refresh: true });
    const missing = names.flatMap((name) => notOffered(namespaces, name, server) ?? []);
    if (missing.length > 0) return shown(context, missing, json, null);
    const { attachments } = await context.call('local', {});
    const { outcomes: left } = await reportLosses(context, force, async () => ({
      outcomes: await withProgress(
        context,
        'detaching',
        context.call('detach', { names, force }).then(({ outcomes }) => outcomes),
      ),
    }));
    const stuck = left.filter(({ error }) => error !== null);
    if (stuck.length > 0) return shown(context, json ? left : stuck, json, 'detached');
    const attach = context.call('attach', { names, readOnly: false, server, take: 'no' }).then(({ outcomes }) => outcomes);
    const outcomes: AttachOutcome[] = [];
    for (const outcome of await withProgress(context, 'attaching', attach)) {
      const was = outcome.done || force ? undefined : attachments.find((one) => labelOf(one) === outcome.volume);
      outcomes.push(was === undefined ? outcome : await attachedAgain(context, outcome, was, serverOf(namespaces, was)));
    }
    return shown(context, outcomes, json, 'attached');
  },
});

/** Prints outcomes, and returns the exit code. */
function shown(context: CommandContext, outcomes: readonly AttachOutcome[], json: boolean, done: 'attached' | 'detached' | null): number {
  if (json) printJson(context, { outcomes });
  return printOutcomes(context, outcomes, json ? null : done);
}

/** Returns why the volume cannot be that of the server; null if the server offers a volume with this name. Throws E_USAGE. */
export function notOffered(namespaces: readonly NamespaceView[], wanted: string, server: string): AttachOutcome | null {
  const servers = namespaces.flatMap((one) => one.servers.map((own) => ({ namespace: one.name, own })));
  const there = servers.filter(({ own }) => own.name === server);
  if (there.length === 0) {
    const known = [...new Set(servers.map(({ own }) => own.name))].join(', ');
    throw usageError(`There is no server ${quoteText(server)}: known are ${known}`);
  }
  const offered = there.flatMap(({ namespace, own }) =>
    own.volumes.filter(({ name, universe }) => namesOf({ namespace, name, universe }).includes(wanted)),
  );
  if (offered.some(({ follows }) => follows === null)) return null;
  const refused = (code: string, message: string): AttachOutcome => ({
    volume: wanted,
    done: false,
    already: false,
    device: null,
    error: { code, message: `${message}; nothing was detached` },
  });
  if (there.every(({ own }) => own.state !== 'connected'))
    return refused('E_NO_PATH', `Server ${server} is not connected: rsconfig -m status shows the paths`);
  const [closed] = offered;
  if (closed !== undefined)
    return refused(
      'E_VOLUME',
      `Volume ${wanted} of server ${server} follows server ${closed.follows}, or is being handed over to it: ` +
        `rsadm volume promote ${volumeText(closed)} at ${server} makes a follower an ordinary volume`,
    );
  return refused('E_UNKNOWN_VOLUME', `Server ${server} offers no volume ${wanted} to this client: rsconfig -q lists the volumes`);
}

/** Attaches the volume again where it was, and returns the outcome of the refused volume with a sentence about that. */
async function attachedAgain(
  context: CommandContext,
  refused: AttachOutcome,
  was: AttachmentView,
  server: string | null,
): Promise<AttachOutcome> {
  const names = [labelOf(was)];
  const { outcomes } = await context.call('attach', { names, readOnly: was.readonly, server, take: 'no' });
  const again = outcomes[0]?.done === true;
  const place = server === null ? '' : ` --server ${server}`;
  const sentence = again
    ? `the volume of server ${server ?? '-'} is attached again`
    : `the volume is detached, and rsconfig -a ${labelOf(was)}${place} attaches the one that was there`;
  const { code, message } = refused.error ?? { code: 'E_INTERNAL', message: 'rsiod refused and gave no reason' };
  return { ...refused, error: { code, message: `${message}; ${sentence}` } };
}

/** Returns the name of the server that offers the attached volume; null if none does now. */
function serverOf(namespaces: readonly NamespaceView[], { namespace, id }: AttachmentView): string | null {
  const servers = namespaces.find(({ name }) => name === namespace)?.servers ?? [];
  return servers.find(({ volumes }) => volumes.some((one) => one.id === id))?.name ?? null;
}

type Named = Pick<AttachmentView, 'namespace' | 'name' | 'universe'>;

function labelOf({ namespace, name, universe }: Named): string {
  return `${namespace}:${name}@${universe}`;
}

/** Returns the names under which a command may name a volume. */
function namesOf({ namespace, name, universe }: Named): readonly string[] {
  const label = labelOf({ namespace, name, universe });
  return [name, `${name}@${universe}`, `${namespace}:${name}`, label];
}
