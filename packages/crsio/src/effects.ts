// Executes the effects that the model requests, and reports each result to the model as an action. The ports give access to files, sockets
// and rsiod, so that tests can supply their own ports. Invariant: every effect except `end` and `start-page` produces a final action, and no exception
// reaches the event loop.

import type { FileFingerprint } from '@rsio/common/config/config-file';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { ControlMethodName, ControlMethods } from '@rsio/common/control/methods';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { addressKey } from '@rsio/common/lib/subnet';
import { parseSize } from '@rsio/common/lib/units';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import type { Exploration, FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Finding } from '@rsio/protocol/explorer/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { Examination, ProbeReport } from '@rsio/protocol/explorer/probe-report';
import type { ExploreRequest, MirrorWish } from './model/command.ts';
import { probeSentences } from './model/report-text.ts';
import type { Failure, Sample, SearchedServer, StoredFile } from './model/state.ts';
import type { Action, Effect, ReloadOutcome } from './model/step.ts';
import type { IdentifiedServer } from './server-identification.ts';
import { MIRRORS_REFRESH_MS, STATUS_REFRESH_MS } from './widgets/limits.ts';

/** Called after each pair of interfaces has been tried. */
type OnReport = (report: ProbeReport, done: number, total: number) => void;

export interface Ports {
  readonly clock: Clock;
  /** Throws E_RIGHTS, E_CONFIG, E_SYSTEM. */
  readFile(): StoredFile;
  /** Throws E_CHANGED if another program has changed the file. Also throws the errors of readFile(). */
  saveFile(text: string, before: FileFingerprint | null): StoredFile;
  machine(): readonly MachineInterface[];
  explore(config: RscltConfig, request: ExploreRequest, onFound: (server: FoundServer) => void): Promise<Exploration>;
  /** Explores the network for the servers of `namespace`, which must be in the configuration file. */
  exploreNamespace(config: RscltConfig, namespace: string, addresses: readonly string[]): Promise<Exploration>;
  identify(config: RscltConfig, namespace: string, address: string): Promise<IdentifiedServer>;
  /** Probes every candidate pair of a client interface and a server interface. */
  examine(config: RscltConfig, namespace: string, server: FoundServer, onReport: OnReport): Promise<Examination>;
  call<M extends ControlMethodName>(method: M, params: ControlMethods[M]['params']): Promise<ControlMethods[M]['result']>;
  /** An id for a request that must not be executed twice. */
  newId(): string;
  /** Throws E_SYSTEM if rsiod does not start. */
  startDaemon(): Promise<void>;
  /** Shows the start page of crsio. */
  showStart(): void;
  end(): void;
}

export function runEffect(effect: Effect, ports: Ports, dispatch: (action: Action) => void): void {
  switch (effect.kind) {
    case 'save':
      return dispatch(save(effect.text, effect.before, ports));
    case 'read-file':
      return dispatch(attempt('Not read', () => ({ kind: 'file-read', stored: ports.readFile() })));
    case 'look-at-machine':
      return dispatch(attempt('Interfaces of this machine', () => ({ kind: 'machine', interfaces: ports.machine() })));
    case 'reload-daemon':
      return answer(reloadDaemon(ports), dispatch, (failure) => ({ kind: 'reloaded', outcome: { kind: 'failed', failure } }));
    case 'start-daemon':
      return answer(startDaemon(ports), dispatch, (failure) => ({ kind: 'failed', what: 'rsiod did not start', failure }));
    case 'explore':
      return answer(explore(effect, ports, dispatch), dispatch, (failure) => ({ kind: 'run-failed', run: effect.run, failure }));
    case 'search':
      return answer(search(effect, ports, dispatch), dispatch, (failure) => ({ kind: 'run-failed', run: effect.run, failure }));
    case 'sample':
      return answer(sample(effect.run, ports), dispatch, (failure) => ({ kind: 'sampled', run: effect.run, sample: failure }));
    case 'sample-later':
      ports.clock.after(STATUS_REFRESH_MS, () => dispatch({ kind: 'sample-due', run: effect.run }));
      return;
    case 'test-paths':
      return answer(testPaths(effect.run, ports), dispatch, (failure) => ({ kind: 'run-failed', run: effect.run, failure }));
    case 'attach':
    case 'detach':
      return answer(changeVolume(effect, ports), dispatch, (failure) => ({ kind: 'failed', what: `Not ${effect.kind}ed`, failure }));
    case 'ask-mirrors':
      return answer(askMirrors(effect.run, ports), dispatch, (failure) => ({ kind: 'mirrors-heard', run: effect.run, answer: failure }));
    case 'ask-mirrors-later':
      ports.clock.after(MIRRORS_REFRESH_MS, () => dispatch({ kind: 'mirrors-due', run: effect.run }));
      return;
    case 'create-mirror':
      return answer(createMirror(effect.wish, ports), dispatch, (failure) => ({ kind: 'failed', what: 'Mirror not created', failure }));
    case 'remove-mirror':
      return answer(removeMirror(effect.mirror, ports), dispatch, (failure) => ({ kind: 'failed', what: 'Not dissolved', failure }));
    case 'start-page':
      return ports.showStart();
    case 'end':
      return ports.end();
  }
}

async function startDaemon(ports: Ports): Promise<Action> {
  await ports.startDaemon();
  return { kind: 'done', sentence: 'rsiod is running: Status shows its paths' };
}

export function failureOf(thrown: unknown): Failure {
  const { code, message } = toRsError(thrown);
  return { code, message };
}

function answer(promise: Promise<Action>, dispatch: (action: Action) => void, failed: (failure: Failure) => Action): void {
  promise.then(dispatch, (thrown: unknown) => dispatch(failed(failureOf(thrown))));
}

function attempt(what: string, action: () => Action): Action {
  try {
    return action();
  } catch (thrown) {
    return { kind: 'failed', what, failure: failureOf(thrown) };
  }
}

function save(text: string, before: FileFingerprint | null, ports: Ports): Action {
  try {
    return { kind: 'saved', stored: ports.saveFile(text, before) };
  } catch (thrown) {
    const failure = failureOf(thrown);
    if (failure.code !== 'E_CHANGED') return { kind: 'not-saved', failure, theirs: null };
    try {
      return { kind: 'not-saved', failure, theirs: ports.readFile() };
    } catch (unreadable) {
      return { kind: 'not-saved', failure: failureOf(unreadable), theirs: null };
    }
  }
}

async function reloadDaemon(ports: Ports): Promise<Action> {
  let outcome: ReloadOutcome;
  try {
    outcome = { kind: 'applied', changes: (await ports.call('reload', {})).applied };
  } catch (thrown) {
    const failure = failureOf(thrown);
    outcome = failure.code === 'E_NOT_RUNNING' ? { kind: 'not-running' } : { kind: 'failed', failure };
  }
  return { kind: 'reloaded', outcome };
}

async function explore(
  { run, config, request }: Extract<Effect, { kind: 'explore' }>,
  ports: Ports,
  dispatch: (action: Action) => void,
): Promise<Action> {
  const exploration = await ports.explore(config, request, (server) => dispatch({ kind: 'found', run, server }));
  return { kind: 'explored', run, exploration };
}

async function search(
  { run, config, namespace, addresses }: Extract<Effect, { kind: 'search' }>,
  ports: Ports,
  dispatch: (action: Action) => void,
): Promise<Action> {
  const explored = await ports.exploreNamespace(config, namespace, addresses);
  const servers = [...explored.servers];
  // Try silent addresses over TCP: a firewall may drop UDP, or the server may not answer explorations.
  const silent: Finding[] = [];
  for (const address of addresses) {
    if (servers.some(({ interfaces }) => interfaces.some((each) => addressKey(each.address) === addressKey(address)))) continue;
    dispatch({ kind: 'searching', run, doing: `Asking ${address} by TCP` });
    const identified = await ports.identify(config, namespace, address);
    if ('server' in identified) servers.push(identified.server);
    else silent.push(identified.finding);
  }
  const done: SearchedServer[] = [];
  for (const server of servers) {
    dispatch({ kind: 'searching', run, doing: `Trying the interfaces of ${server.server}` });
    const examination = await ports.examine(config, namespace, server, (report, count, total) => {
      dispatch({ kind: 'searching', run, doing: `Tried ${count} of ${total} pairs of interfaces with ${server.server}` });
      dispatch({ kind: 'tried', run, report });
    });
    done.push({ server, examination });
  }
  // Drop the findings about addresses that are silent over UDP, because all of them have been tried over TCP.
  const heard = explored.findings.filter(({ kind }) => kind !== 'no-answer');
  const onTheWay = done.flatMap(({ examination }) => [
    ...examination.findings,
    ...examination.reports.flatMap((report) => report.findings),
  ]);
  return { kind: 'searched', run, servers: done, findings: [...heard, ...silent, ...onTheWay] };
}

async function sample(run: number, ports: Ports): Promise<Action> {
  const [status, stats, local, query] = await Promise.all([
    ports.call('status', {}),
    ports.call('stats', {}),
    ports.call('local', {}),
    ports.call('query', { refresh: false }),
  ]);
  const taken: Sample = {
    atMs: ports.clock.monotonicMs(),
    status,
    stats,
    attachments: local.attachments,
    namespaces: query.namespaces,
  };
  return { kind: 'sampled', run, sample: taken };
}

async function askMirrors(run: number, ports: Ports): Promise<Action> {
  const [status, { namespaces }, { mirrors, gaps }] = await Promise.all([
    ports.call('status', {}),
    ports.call('query', { refresh: false }),
    ports.call('mirrors', { namespace: null }),
  ]);
  const servers = [...new Set(namespaces.flatMap((each) => each.servers.map(({ name }) => name)))];
  return { kind: 'mirrors-heard', run, answer: { mirrors, gaps, attached: status.mirrors, servers } };
}

async function createMirror({ name, size, servers, witness, namespace, pool }: MirrorWish, ports: Ports): Promise<Action> {
  const { mirror, warnings } = await ports.call('mirror-create', {
    ...{ name, universe: 0, sizeBytes: parseSize(size), blockSizeBytes: SECTOR_BYTES, request: ports.newId() },
    ...{ namespace: namespace === '' ? null : namespace, witness: witness === '' ? null : witness, pool: pool === '' ? null : pool },
    servers: servers.split(',').map((one) => one.trim()),
  });
  return { kind: 'done', sentence: [`${volumeLabel(mirror)} created`, ...warnings].join('; ') };
}

async function removeMirror(mirror: Extract<Effect, { kind: 'remove-mirror' }>['mirror'], ports: Ports): Promise<Action> {
  const { left } = await ports.call('mirror-remove', { ...mirror, volumes: false, force: false, id: null });
  if (left.length > 0) return { kind: 'failed', what: 'Not dissolved to the end', failure: { code: 'E_SYSTEM', message: left.join('; ') } };
  return { kind: 'done', sentence: `${volumeLabel(mirror)} is no mirror any more` };
}

async function testPaths(run: number, ports: Ports): Promise<Action> {
  const { paths, leftOut } = await ports.call('probe', { interface: null, remote: null });
  const out = leftOut.map(({ section, address, reason }) => `${section} ${address}: left out, ${reason}`);
  const lines = [...paths.flatMap(probeSentences), ...out];
  return { kind: 'tested', run, lines: lines.length === 0 ? ['rsiod has no path'] : lines };
}

async function changeVolume(
  { kind, volume }: { readonly kind: 'attach' | 'detach'; readonly volume: string },
  ports: Ports,
): Promise<Action> {
  const names = [volume];
  const { outcomes } =
    kind === 'attach'
      ? await ports.call('attach', { names, readOnly: false, server: null, take: 'no' })
      : await ports.call('detach', { names, force: false });
  const refused = outcomes.flatMap(({ error }) => error ?? [])[0];
  if (refused !== undefined) return { kind: 'failed', what: `Not ${kind}ed`, failure: refused };
  const [outcome] = outcomes;
  if (outcome === undefined)
    throw new RsError('E_PROTOCOL', `No answer from rsiod about ${volume}: it may be a different version, so restart it`);
  return { kind: 'done', sentence: `${outcome.volume} ${kind}ed${outcome.device === null ? '' : ` ${outcome.device}`}` };
}
