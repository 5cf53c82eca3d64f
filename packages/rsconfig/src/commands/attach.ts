// Implements -a and -d, which make the daemon attach or detach volumes and print one line for each outcome. With --wait, volume-waiting.ts
// retries the volumes that cannot be attached or detached yet. Invariant: if one volume fails, the outcomes of the others are still
// printed, and the exit code is 1.

import { type AttachOutcome, CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { JSON_OPTION, printJson, WAIT_OPTION } from '@rsio/common/cli/command';
import { type CommandContext, defineCommand, usageError } from '../cli/context.ts';
import { MountRecords } from '../mounts/mount-records.ts';
import { formatOutcome } from '../output/format.ts';
import { reportLosses } from './forced-losses.ts';
import { attachWaiting, unreachableMessage, detachWaiting, unreachableServers, withProgress } from './volume-waiting.ts';

const ANY_NUMBER = { min: 0, max: Number.POSITIVE_INFINITY } as const;

export const ATTACH = defineCommand({
  call: { by: 'option', option: 'attach', short: 'a', help: 'attach volumes as local devices' },
  synopsis: '-a [NAME...] [--read-only] [--server S]\n[--take-over [--force]] [--wait[=T]]',
  summary: 'attaches volumes as local devices',
  details: `Without NAME, the command attaches all volumes that are offered to this client.
Without NAME, an unreachable server is an error, because rsiod does not know its
volumes.

A snapshot of a volume can be attached only by its name, NAME@SNAPSHOT, and only
read-only; several clients can do this. A snapshot shows the volume as it was
when the snapshot was made. Without NAME, no snapshot is attached.

Only one client, the holder, can attach a volume for writing, unless the volume
is shared. With --take-over, this client takes the named volumes over from their
holder. After the take-over, I/O of the former holder fails. The rsiod of the
former holder logs the reason and does not attach the volumes again
automatically. Data that the server has acknowledged to the former holder is
preserved. If a crash of the server machine may have lost unflushed writes of
the holder, the server refuses the take-over until the holder has sent these
writes again. With --take-over --force, the server permits the take-over even
then, but the unflushed writes are lost. The key take-over-force in rssrvcfg(5)
must permit --force. If the server's file has a section [rights], this client
needs the right admin too.

An attached volume stays read-only or read-write, even if rsiod restarts. To
change the mode of an attached volume, detach the volume and attach it again.
The output of rsconfig -l shows which volumes are read-only. Several clients can
attach a volume read-only, but only one client can attach a mirror.

With --wait, the command keeps trying as long as the server of a volume is
unreachable, no server offers the volume, or another client holds it. With
--wait and without NAME, the command waits until every server is reachable.`,
  options: {
    'read-only': { kind: 'flag', help: 'with -a: attach read-only; several clients can do this' },
    server: { kind: 'text', value: 'S', help: 'with -a: if several servers offer NAME, use server S' },
    'take-over': { kind: 'flag', help: 'with -a NAME: take over the volume from its holder' },
    force: { kind: 'flag', help: 'with -a --take-over: take over even if\nacknowledged writes are lost' },
    wait: WAIT_OPTION,
    json: JSON_OPTION,
  },
  json: CONTROL_METHODS.attach.result,
  operands: ANY_NUMBER,
  completes: `"\${ask[@]}" -q | awk '$1 ~ /^[0-3]$/ && $3 == "disk" { print $2 }'`,
  run: async (context, { 'read-only': readOnly, server, 'take-over': takesOver, force, wait, json }, names) => {
    if (server === '') throw usageError('--server is empty: give the name of a server');
    checkNames(names);
    if (force && !takesOver) throw usageError('--force is valid only with -d and with -a --take-over');
    if (takesOver && names.length === 0) throw usageError('--take-over needs the name of the volume: give NAME');
    const take = takesOver ? (force ? 'force' : 'over') : 'no';
    const attach = async (left: readonly string[]): Promise<readonly AttachOutcome[]> =>
      (await context.call('attach', { names: left, readOnly, server, take })).outcomes;
    const { outcomes, isDone } =
      wait === null
        ? { outcomes: await withProgress(context, 'attaching', attach(names)), isDone: true }
        : await attachWaiting(context, wait, { names, server }, attach);
    if (json) printJson(context, { outcomes });
    const exitCode = printOutcomes(context, outcomes, json ? null : 'attached');
    const isComplete = await checkServers(context, { names, server }, outcomes);
    return isDone && isComplete ? exitCode : 1;
  },
});

export const DETACH = defineCommand({
  call: { by: 'option', option: 'detach', short: 'd', help: 'detach volumes and remove their devices' },
  synopsis: '-d [NAME...] [--force] [--wait[=T]]',
  summary: 'detaches volumes and removes their devices',
  details: `With --wait, the command keeps trying as long as the volume is in use, its I/O
or final flush is in progress, or its server is unreachable. If a volume is not
attached, the command says so; this is not an error.`,
  options: { force: { kind: 'flag', help: 'with -d: detach even if the devices are in use' }, wait: WAIT_OPTION, json: JSON_OPTION },
  json: CONTROL_METHODS.detach.result,
  operands: ANY_NUMBER,
  completes: `"\${ask[@]}" -l | sed 's/^[^:]*://; s/ .*//; s/@[0-3]$//'`,
  run: async (context, { force, wait, json }, names) => {
    checkNames(names);
    const detach = async (left: readonly string[]): Promise<readonly AttachOutcome[]> =>
      (await context.call('detach', { names: left, force })).outcomes;
    const { outcomes } = await reportLosses(context, force, async () =>
      wait === null
        ? { outcomes: await withProgress(context, 'detaching', detach(names)) }
        : await detachWaiting(context, wait, names, detach),
    );
    if (json) printJson(context, { outcomes });
    if (outcomes.length === 0) context.note('No volume is attached: see rsconfig -l');
    return printOutcomes(context, await withMountsNamed(context, outcomes), json ? null : 'detached');
  },
});

/** What `rsconfig mount` has mounted is in use by its image server, which ends with the mount. The refusal therefore names the mount. */
async function withMountsNamed(context: CommandContext, outcomes: readonly AttachOutcome[]): Promise<readonly AttachOutcome[]> {
  if (outcomes.every(({ error }) => error?.code !== 'E_IN_USE')) return outcomes;
  const records = await new MountRecords(context.paths.mountsFile).load().catch(() => []);
  return outcomes.map((outcome) => {
    const mounted = outcome.error?.code === 'E_IN_USE' ? records.find(({ source }) => source === outcome.volume) : undefined;
    if (mounted === undefined) return outcome;
    const { directory } = mounted;
    return { ...outcome, error: { code: 'E_IN_USE', message: `It is mounted at ${directory}: rsconfig umount ${directory} detaches it` } };
  });
}

const NOT_FOUND: readonly string[] = ['E_UNKNOWN_VOLUME', 'E_NO_PATH'];

/**
 * If a volume is missing or no names were given, reports the unreachable servers, because they may offer further volumes. Returns false if
 * a server was reported.
 */
async function checkServers(
  context: CommandContext,
  { names, server }: { readonly names: readonly string[]; readonly server: string | null },
  outcomes: readonly AttachOutcome[],
): Promise<boolean> {
  const isMissed = outcomes.some(({ error }) => error !== null && NOT_FOUND.includes(error.code));
  if (names.length > 0 && !isMissed) return true;
  const unreachable = await unreachableServers(context, server);
  for (const one of unreachable) context.report('E_NO_PATH', unreachableMessage(one));
  if (outcomes.length + unreachable.length === 0) context.note('No volume is offered to this client: see rsconfig -q');
  return unreachable.length === 0;
}

export function checkNames(names: readonly string[]): void {
  if (names.includes('')) throw usageError('A name is empty: give oracle, osl:oracle or osl:oracle@0');
}

/** Returns the exit code: 1 if a volume was refused. */
export function printOutcomes(context: CommandContext, outcomes: readonly AttachOutcome[], done: 'attached' | 'detached' | null): number {
  for (const outcome of outcomes) {
    if (outcome.done) {
      if (done !== null) context.out(formatOutcome(outcome, done));
    } else {
      const { code, message } = outcome.error ?? {
        code: 'E_INTERNAL',
        message: 'rsiod refused and gave no reason: see its log (rsclogcat)',
      };
      context.report(code, `${outcome.volume}: ${message}`);
    }
  }
  return outcomes.every((outcome) => outcome.done) ? 0 : 1;
}
