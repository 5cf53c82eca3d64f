// Does the work of `join` (commands/join.ts), which sets up a working client from the address of a server, a node name and its key. The command finds the servers,
// proves every path, adds sections to the file, starts or reloads rsiod, and shows the paths. Invariant: nothing is written before a server
// has accepted the login, and every unused address is listed with the reason.

import { openConfigFile, saveConfigFile } from '@rsio/common/config/config-file';
import { printIni } from '@rsio/common/config/reader/ini-document';
import { examineRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import { FIRST_CONTACT_WAIT_MS } from '@rsio/common/control/limits';
import type { StatusView } from '@rsio/api/rsiod/methods';
import { startDaemon } from '@rsio/common/control/start-daemon';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { NAMESPACEID_MAX } from '@rsio/base/lib/limits';
import { parseName } from '@rsio/base/lib/units';
import { type CommandContext, usageError } from '../cli/context.ts';
import { reloadDaemon } from '../cli/config-edit.ts';
import { namedInterfaces, resolveHost } from '../cli/hosts.ts';
import { givenKey } from '../cli/key-input.ts';
import { type ThisMachine, thisMachine } from '../cli/this-machine.ts';
import { type Poll, waitUntil } from '../cli/waiting.ts';
import { toText } from '@rsio/common/cli/table';
import { findingLine, formatStatus } from '../output/format.ts';
import { statusWarnings } from '../output/warnings.ts';
import { discover, type Discovery, type JoinTarget, notAccepted, notAcceptedSentence } from './discovery.ts';
import { loginWith, tlsFor, unlike, withoutTls } from './encryption.ts';
import { oldSections } from './moved-servers.ts';
import { type JoinPlan, type OldSection, planJoin } from './plan.ts';
import { type Trial, tryServers } from './trial.ts';

const NEXT =
  'list the offered volumes with rsconfig -q, attach them with rsconfig -a, or create one with rsconfig volume create NAME --size 20g --attach';

/** The options of the command, as they are given. */
export interface JoinOptions {
  readonly name: string | null;
  readonly key: string | null;
  readonly 'key-file': string | null;
  readonly id: string | null;
  readonly interface: readonly string[];
  readonly namespacekey: string | null;
  readonly 'namespacekey-file': string | null;
  readonly serverkey: string | null;
  readonly 'serverkey-file': string | null;
  readonly tls: boolean;
  readonly label: string | null;
  readonly 'no-start': boolean;
  readonly wait: number | null;
}

/** Returns the exit code. `host`: HOST[:PORT]. */
export async function join(context: CommandContext, options: JoinOptions, host: string): Promise<number> {
  const stdin = ['key-file', 'namespacekey-file', 'serverkey-file'] as const;
  if (stdin.filter((name) => options[name] === '-').length > 1) throw usageError('Several keys on stdin: give the others in files');
  const { name, id, label } = options;
  if (name === null) throw usageError('No --name: give the name of this machine on the servers');
  const nodekey = await givenKey(context, 'key', options.key, options['key-file']);
  if (nodekey === null) throw usageError('No key: give --key-file F, or - for stdin');
  const namespacekey = await givenKey(context, 'namespacekey', options.namespacekey, options['namespacekey-file']);
  const serverkey = await givenKey(context, 'serverkey', options.serverkey, options['serverkey-file']);
  // The file is opened first, so that an unreadable file is reported before any server is asked.
  const before = fileBefore(context.configFile);
  const machine = thisMachine(context.clock);
  const target: JoinTarget = {
    host: await resolveHost(host, PORT_DEFAULT, context.clock),
    interfaces: namedInterfaces(machine.interfaces, options.interface),
    login: loginWith({ nodename: parseName(name, '--name'), nodekey, serverkey }, tlsFor(before, idOf(id), options.tls)),
    namespacekey,
    namespaceid: idOf(id),
  };
  const attempt = await tryToJoin(context, target, machine, (namespaceid) => tlsFor(before, namespaceid, options.tls));
  const given = label === null ? null : parseName(label, '--label');
  return takeIn(context, attempt, given, { noStart: options['no-start'], wait: options.wait });
}

/** Reads the current file. Returns null if the file has faults; planJoin reports these faults before the file is changed. */
function fileBefore(file: string): RscltConfig | null {
  return examineRscltConfig(printIni(openConfigFile(file).document), file).config;
}

interface Attempt {
  readonly target: JoinTarget;
  readonly discovery: Discovery;
  readonly trial: Trial;
}

/** Finds the servers and tries the paths. If a server accepts encrypted connections only, tries again with TLS. */
async function tryToJoin(
  context: CommandContext,
  first: JoinTarget,
  here: ThisMachine,
  tlsOf: (namespaceid: number) => boolean,
): Promise<Attempt> {
  const targetWith = (tls: boolean): JoinTarget => ({ ...first, login: loginWith(first.login, tls) });
  let isDemanded = false;
  const discovery = await discover(first, here).catch((thrown: unknown) => {
    if (first.login.tls || toRsError(thrown).code !== 'E_TLS') throw thrown;
    isDemanded = true;
    return discover(targetWith(true), here);
  });
  context.out(toText([foundLine(discovery)]));
  const target = targetWith(isDemanded || tlsOf(discovery.namespaceid));
  const trial = await tryServers(target, discovery, here, context.note);
  if (trial.demandsTls === null) return { target, discovery, trial };
  context.note(`Server ${trial.demandsTls} accepts encrypted paths only: trying with tls = on`);
  const encrypted = await tryServers(targetWith(true), discovery, here, context.note);
  const [plain] = encrypted.withoutTls;
  // A server has refused the login with TLS. The user has not requested TLS, so `join` must not exclude this server.
  if (plain !== undefined) throw unlike(trial.demandsTls, plain);
  return { target: targetWith(true), discovery, trial: encrypted };
}

/** Writes the proved paths to the file, and makes rsiod use them. Returns the exit code. */
async function takeIn(
  context: CommandContext,
  { target, discovery, trial }: Attempt,
  label: string | null,
  { noStart, wait }: { readonly noStart: boolean; readonly wait: number | null },
): Promise<number> {
  context.out(toText([...trial.usable.map(usedLine), ...trial.unused, ...discovery.findings.map(findingLine)]));
  const [refused] = trial.refusedBy;
  if (trial.usable.length === 0 && refused !== undefined) throw notAccepted(refused);
  const [plain] = trial.withoutTls;
  if (trial.usable.length === 0 && plain !== undefined) throw withoutTls(plain);
  if (trial.usable.length === 0) {
    throw new RsError('E_UNREACHABLE', 'No path to any of its interfaces works: the reasons are above; nothing was written');
  }
  for (const server of trial.refusedBy) context.report('E_AUTH', notAcceptedSentence(server));
  const old = await oldSections(context, fileBefore(context.configFile), target, discovery, trial);
  const plan = write(context, { target, discovery, trial }, old, label);
  if (noStart) {
    context.note(`Next: start rsiod, ${NEXT}`);
  } else {
    await useFile(context, plan);
    if (!(await showPaths(context, trial, wait ?? FIRST_CONTACT_WAIT_MS))) return 1;
  }
  return trial.refusedBy.length === 0 ? 0 : 1;
}

function write(context: CommandContext, { target, discovery, trial }: Attempt, old: readonly OldSection[], label: string | null): JoinPlan {
  const { configFile } = context;
  const { document, fingerprint } = openConfigFile(configFile);
  const { nodename, nodekey, serverkey } = target.login;
  const { namespaceid, namespace } = discovery;
  const identity = {
    namespaceid,
    label: label ?? namespace ?? `ns${namespaceid}`,
    nodename,
    nodekey,
    namespacekey: target.namespacekey,
    serverkey,
    tls: target.login.tls,
  };
  const plan = planJoin(
    document,
    trial.usable.map(({ path }) => path),
    old,
    identity,
    configFile,
  );
  for (const { device, local, reason } of plan.leftOut) context.note(`${device} (${local}) is not used: ${reason}`);
  if (plan.added.length === 0) context.note(`${configFile} already has all of this`);
  else {
    saveConfigFile(configFile, plan.document, fingerprint);
    context.out(toText([`Written to ${configFile}:`, ...plan.added.map((line) => `    ${line}`)]));
  }
  return plan;
}

async function useFile(context: CommandContext, plan: JoinPlan): Promise<void> {
  try {
    await context.call('daemon', {});
  } catch (thrown) {
    if (toRsError(thrown).code !== 'E_NOT_RUNNING') throw thrown;
    context.note('Starting rsiod');
    return startDaemon(context.paths.root, context.note);
  }
  if (plan.added.length > 0) await reloadDaemon(context);
}

/** Waits briefly for the proved paths; returns false if none of them comes up. */
async function showPaths(context: CommandContext, { usable }: Trial, limitMs: number): Promise<boolean> {
  const { call, configFile } = context;
  const missingOf = ({ interfaces }: StatusView): string[] => {
    const up = interfaces.flatMap(({ address: local, reps }) =>
      reps.filter(({ state }) => state === 'up').map(({ address }) => `${local} ${address}`),
    );
    const missing = usable.filter(({ path }) => !up.includes(`${path.local} ${path.address}`));
    return missing.map(({ path }) => `path ${path.local} -> ${path.address} is not up`);
  };
  const look = async (): Promise<Poll<null>> => ({ value: null, waitsFor: missingOf(await call('status', {})) });
  await waitUntil(context, limitMs, look);
  const status = await call('status', {});
  const missing = missingOf(status);
  context.out(formatStatus(status, 0));
  for (const warning of statusWarnings(status, configFile)) context.note(warning);
  if (missing.length > 0) context.note('Not every path is up yet: see rsconfig -m status -v, and rsconfig doctor');
  context.note(`Next: ${NEXT}`);
  return missing.length < usable.length;
}

function foundLine({ namespace, namespaceid, servers }: Discovery): string {
  const shown = servers.map(({ server, serverid }) => `server ${server} (id ${serverid})`).join(', ');
  return `Found namespace${namespace === null ? '' : ` ${namespace}`} with namespaceid ${namespaceid}: ${shown}`;
}

function usedLine({ path, report }: Trial['usable'][number]): string {
  const trip = report.roundTripMs === null ? '' : `, round trip ${report.roundTripMs.toFixed(3)} ms`;
  const rate = report.readBytesPerSecond === null ? '' : `, ${(report.readBytesPerSecond / 1e6).toFixed(0)} MB/s`;
  const { leavesBy } = report;
  const way = leavesBy === null || leavesBy === path.device ? '' : `, but it leaves by ${leavesBy}: rsconfig doctor shows the remedy`;
  return `${path.device} (${path.local}) -> ${path.address} of ${path.server} works${trip}${rate}${way}`;
}

function idOf(text: string | null): number | null {
  if (text === null) return null;
  const id = /^\d{1,5}$/.test(text) ? Number(text) : NAMESPACEID_MAX + 1;
  if (id > NAMESPACEID_MAX) throw usageError(`Wrong --id ${text}: give a number from 0 to ${NAMESPACEID_MAX}`);
  return id;
}
