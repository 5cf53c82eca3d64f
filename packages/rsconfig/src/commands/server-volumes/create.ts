// Implements `rsconfig volume create`, which creates a volume on a server. With --attach, the command waits until the server lists the
// volume, and attaches it. Invariant: if a step after the creation fails, the command names the volume that exists and the command that
// continues.

import { JSON_OPTION, printJson, WAIT_OPTION } from '@rsio/common/cli/command';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { object, orNull, text } from '@rsio/base/lib/shape';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { CREATE, CREATED_FIELDS, type CreatedVolume, createVolume, reportCreated } from '@rsio/api/manage/volumes/create';
import { clientsOf } from '@rsio/api/views/values';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { ordered } from '../../cli/order-waiting.ts';
import { formatOutcome } from '../../output/format.ts';
import { doorOf, PLACE_OPTIONS, PLACE_SYNOPSIS, PROGRAM } from './door.ts';
import { type PlaceFilter, placesOf } from './servers.ts';

export const VOLUME_CREATE = defineCommand({
  call: { by: 'words', words: 'volume create' },
  synopsis: `${CREATE.synopsis}\n[--attach] ${PLACE_SYNOPSIS} [--wait[=T]]`,
  summary: CREATE.summary,
  details: `${CREATE.details}

Without --server, the command chooses the server whose pools have the most room,
among the servers that let this client create volumes. The output names the
server.

With --attach, the command also attaches the volume and prints its device.`,
  options: {
    ...CREATE.options,
    attach: { kind: 'flag', short: 'a', help: 'attach the volume, too' },
    ...PLACE_OPTIONS,
    wait: WAIT_OPTION,
    json: JSON_OPTION,
  },
  json: object({ ...PROGRAM.place, ...CREATED_FIELDS, device: orNull(text(), 'null: not attached, or no device') }),
  operands: { min: 1, max: 1 },
  run: async (context, { attach, server, namespace, wait, json, ...options }, [name = '']) => {
    if (attach && options.clients !== null) await checkOwnAccess(context, { server, namespace }, options.clients);
    const created = await ordered(context, wait, (given) =>
      createOrSay(given, name, () => createVolume(doorOf(given, { server, namespace }), options, name, PROGRAM.program)),
    );
    const outcome = attach ? await attached(context, created, options['read-only']) : null;
    if (json) {
      printJson(context, { ...created.target.place, volume: created.volume, existed: created.existed, device: outcome?.device ?? null });
    } else {
      reportCreated(context, created);
      if (outcome?.done === true) context.out(formatOutcome(outcome, 'attached'));
    }
    if (outcome === null || outcome.done) return undefined;
    const { code, message } = outcome.error ?? { code: 'E_INTERNAL', message: 'rsiod gave no reason: see its log (rsclogcat)' };
    context.report(
      code,
      `${outcome.volume} ${created.existed ? 'exists' : 'was created'} and is not attached: ${message}; rsconfig -a ${outcome.volume} attaches it`,
    );
    return 1;
  },
});

/** Throws E_USAGE before anything is created if --clients does not name this client, because --attach would then fail. */
async function checkOwnAccess(context: CommandContext, filter: PlaceFilter, clients: string): Promise<void> {
  const names = clientsOf('--clients', clients, PROGRAM.program);
  const own = [...new Set((await placesOf(context, filter)).map(({ nodename }) => nodename))];
  if (names === null || own.some((name) => names.includes(name))) return;
  throw usageError(`--attach needs this client in --clients: add ${own.join(' or ')}`);
}

/**
 * Executes `work`, which creates the volume. If the volume already exists, a note says how to show and attach it, because an earlier
 * attempt of the user may have created it.
 */
async function createOrSay(context: CommandContext, name: string, work: () => Promise<CreatedVolume>): Promise<CreatedVolume> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof RsError && thrown.code === 'E_EXISTS')
      context.note(`rsconfig volume show ${name} shows the volume that exists, and rsconfig -a ${name} attaches it`);
    throw thrown;
  }
}

async function attached(context: CommandContext, { target, volume }: CreatedVolume, readOnly: boolean): Promise<AttachOutcome> {
  // The label uses the requested name, not the name in the answer, because a hostile server could return another name.
  const label = target.label(target.volume);
  const [namespace = '', server = ''] = [target.place['namespace'], target.place['server']];
  const failed = (error: RsError): AttachOutcome => ({
    volume: label,
    done: false,
    already: false,
    device: null,
    error: { code: error.code, message: error.message },
  });
  if (volume.id === null || volume.state !== 'served')
    return failed(new RsError('E_VOLUME', `the server does not serve it: ${volume.reason ?? 'see its log'}`));
  try {
    const { listed } = await context.call('await-volume', { namespace, server, id: volume.id });
    if (!listed) return failed(new RsError('E_UNKNOWN_VOLUME', 'its server does not list it for this client'));
    const { outcomes } = await context.call('attach', { names: [label], readOnly, server, take: 'no' });
    const [outcome] = outcomes;
    return outcome ?? failed(new RsError('E_INTERNAL', 'rsiod answered nothing: see its log (rsclogcat)'));
  } catch (thrown) {
    return failed(toRsError(thrown));
  }
}
