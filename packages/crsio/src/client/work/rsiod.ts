// Sends requests to rsiod: for the samples on the status page and on the page of mirrors, for changes of volumes and mirrors, and for the
// path test. The samples about applications come from rsapp. Invariant: a daemon is asked for samples only while a page shows them.

import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { parseSize } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { ask, type Effect, type Failure, isOpen, onTop, popped, pushed, reportFailure, request, step } from '../../machine/machine.ts';
import { APPLICATIONS_REFRESH_MS, MIRRORS_REFRESH_MS, STATUS_REFRESH_MS } from '../../widgets/limits.ts';
import type { Ports } from '../model/ports.ts';
import { probeSentences } from '../model/report-text.ts';
import type { ApplicationsSample, ClientCommand, ClientPage, ClientState, ClientStep, MirrorsSample, Sample } from '../model/state.ts';

export const STATUS = 'status';
export const MIRRORS = 'mirrors';
export const APPLICATIONS = 'applications';
export const TEST = 'test';

export function failed(title: string): (failure: Failure) => ClientCommand {
  return (failure) => (state) => step(reportFailure<ClientState>({ ...state, note: null }, title, failure));
}

export interface Refusal {
  readonly title: string;
  readonly failure: Failure;
}

/**
 * Asks a daemon for a change. `work` sends the request, and returns a sentence that crsio shows to the user, or a refusal. If `work` throws,
 * crsio shows the reason below the heading `title`.
 */
export function change(state: ClientState, note: string, title: string, work: (ports: Ports) => Promise<string | Refusal>): ClientStep {
  const effect = request<ClientState, string | Refusal>(
    () => work(state.ports),
    (outcome) => (typeof outcome === 'string' ? (now) => sampleAgain({ ...now, note: outcome }) : failed(outcome.title)(outcome.failure)),
    failed(title),
  );
  return step({ ...state, note }, effect);
}

/** Takes a sample at once after a change, so that an open page shows the change. */
function sampleAgain(state: ClientState): ClientStep {
  if (isOpen(state, MIRRORS)) return sampleMirrors(state);
  if (isOpen(state, APPLICATIONS)) return sampleApplications(state);
  return isOpen(state, STATUS) ? sampleStatus(state) : step(state);
}

export function startDaemon(state: ClientState): ClientStep {
  return change(state, 'Starting rsiod ...', 'rsiod did not start', async (ports) => {
    await ports.startDaemon();
    return 'rsiod is running: Status shows its paths';
  });
}

export function openStatus(page: ClientPage): ClientCommand {
  return (state) => sampleStatus({ ...pushed(state, page), status: { run: 0, before: null, now: null, failure: null } });
}

export function openMirrors(page: ClientPage): ClientCommand {
  return (state) => sampleMirrors({ ...pushed(state, page), mirrors: { run: 0, now: null, failure: null } });
}

export function openApplications(page: ClientPage): ClientCommand {
  return (state) => sampleApplications({ ...pushed(state, page), applications: { run: 0, now: null, failure: null } });
}

const sampleStatus = sampling(STATUS, STATUS_REFRESH_MS, takeStatus, (state, now, failure) => {
  return { ...state, status: { ...state.status, before: now === null ? null : state.status.now, now, failure } };
});

const sampleMirrors = sampling(MIRRORS, MIRRORS_REFRESH_MS, takeMirrors, (state, now, failure) => {
  return { ...state, mirrors: { ...state.mirrors, now, failure } };
});

const sampleApplications = sampling(APPLICATIONS, APPLICATIONS_REFRESH_MS, takeApplications, (state, now, failure) => {
  return { ...state, applications: { ...state.applications, now, failure } };
});

/** Returns a command that begins a new series of samples. The series ends when the user leaves the page, or when a newer series begins. */
function sampling<T>(
  page: typeof STATUS | typeof MIRRORS | typeof APPLICATIONS,
  intervalMs: number,
  take: (ports: Ports) => Promise<T>,
  keep: (state: ClientState, now: T | null, failure: Failure | null) => ClientState,
): ClientCommand {
  const sample = (run: number, ports: Ports): Effect<ClientState> => {
    const whileShown =
      (command: ClientCommand): ClientCommand =>
      (state) =>
        isOpen(state, page) && state[page].run === run ? command(state) : step(state);
    const next = whileShown((state) => step(state, sample(run, ports)));
    const heard = (now: T | null, failure: Failure | null): ClientCommand =>
      whileShown((state) => step(keep(state, now, failure), (tell) => void ports.clock.after(intervalMs, () => tell(next))));
    return request(
      () => take(ports),
      (now) => heard(now, null),
      (failure) => heard(null, failure),
    );
  };
  return (state) => {
    const run = state.runs + 1;
    return step({ ...state, runs: run, [page]: { ...state[page], run } }, sample(run, state.ports));
  };
}

async function takeStatus(ports: Ports): Promise<Sample> {
  const [status, stats, local, query, { progress }] = await Promise.all([
    ports.call('status', {}),
    ports.call('stats', {}),
    ports.call('local', {}),
    ports.call('query', { refresh: false }),
    // An rsiod that was not restarted after an update may lack this method.
    ports.call('progress', {}).catch(() => ({ progress: [] })),
  ]);
  return { atMs: ports.clock.monotonicMs(), status, stats, attachments: local.attachments, namespaces: query.namespaces, progress };
}

async function takeMirrors(ports: Ports): Promise<MirrorsSample> {
  const [status, { namespaces }, { mirrors, gaps }] = await Promise.all([
    ports.call('status', {}),
    ports.call('query', { refresh: false }),
    ports.call('mirrors', { namespace: null }),
  ]);
  const servers = [...new Set(namespaces.flatMap((each) => each.servers.map(({ name }) => name)))];
  return { mirrors, gaps, attached: status.mirrors, servers };
}

async function takeApplications({ callApp, clock }: Ports): Promise<ApplicationsSample> {
  return { ...(await callApp('applications', {})), wallMs: clock.wallMs() };
}

export function attach(volume: string): ClientCommand {
  return (state) =>
    change(state, `Attaching ${volume} ...`, 'Not attached', async (ports) => {
      const { outcomes } = await ports.call('attach', { names: [volume], readOnly: false, server: null, take: 'no' });
      return outcomeOf('attached', volume, outcomes);
    });
}

/** Returns a command that asks before the volume is detached, because programs may be using it. */
export function askDetach(volume: string): ClientCommand {
  const detach: ClientCommand = (state) =>
    change(state, `Detaching ${volume} ...`, 'Not detached', async (ports) => {
      const { outcomes } = await ports.call('detach', { names: [volume], force: false });
      return outcomeOf('detached', volume, outcomes);
    });
  const answers = [
    [`Detach ${volume}`, detach],
    ['Leave it attached', null],
  ] as const;
  return (state) => step(ask(state, 'Detach', `${volume} will no longer be available on this machine`, answers, 1));
}

interface VolumeOutcome {
  readonly volume: string;
  readonly device: string | null;
  readonly error: Failure | null;
}

function outcomeOf(done: string, volume: string, outcomes: readonly VolumeOutcome[]): string | Refusal {
  const failure = outcomes.flatMap(({ error }) => error ?? [])[0];
  if (failure !== undefined) return { title: `Not ${done}`, failure };
  const [outcome] = outcomes;
  if (outcome === undefined)
    throw new RsError('E_PROTOCOL', `No answer from rsiod about ${volume}: it may be a different version, so restart it`);
  return `${outcome.volume} ${done}${outcome.device === null ? '' : ` ${outcome.device}`}`;
}

/**
 * `texts`: the entries of the form by key. The form has already checked each entry against the type of its field. If an entry is empty,
 * rsiod chooses the value.
 */
export function createMirror(state: ClientState, texts: Readonly<Record<string, string>>): ClientStep {
  const { name = '', size = '', servers = '', witness, namespace, pool } = texts;
  return change(state, `Creating mirror ${name} ...`, 'Mirror not created', async (ports) => {
    const { mirror, warnings } = await ports.call('mirror-create', {
      name,
      universe: 0,
      sizeBytes: parseSize(size),
      blockSizeBytes: SECTOR_BYTES,
      request: ports.newId(),
      namespace: namespace || null,
      witness: witness || null,
      pool: pool || null,
      servers: servers.split(',').map((one) => one.trim()),
    });
    return [`${volumeLabel(mirror)} created`, ...warnings].join('; ');
  });
}

export function askDissolve(volume: string): ClientCommand {
  const answers = [
    [`Dissolve ${volume}`, (state: ClientState) => dissolve(state, volume)],
    ['Keep it', null],
  ] as const;
  const text = `The replicas of ${volume} become volumes of their own, and nothing of their data is removed`;
  return (state) => step(ask(state, 'Dissolve', text, answers, 1));
}

function dissolve(state: ClientState, volume: string): ClientStep {
  const mirror = state.mirrors.now?.mirrors.find((each) => volumeLabel(each) === volume);
  if (mirror === undefined) return step({ ...state, note: `${volume} is not there any more` });
  const { namespace, name, universe }: MirrorSummary = mirror;
  return change(state, `Dissolving ${volume} ...`, 'Not dissolved', async (ports) => {
    const { left } = await ports.call('mirror-remove', { namespace, name, universe, volumes: false, force: false, id: null });
    if (left.length > 0) return { title: 'Not dissolved to the end', failure: { code: 'E_SYSTEM', message: left.join('; ') } };
    return `${volumeLabel(mirror)} is no mirror any more`;
  });
}

export function testPaths(page: ClientPage): ClientCommand {
  return (state) => {
    const run = state.runs + 1;
    const ifShown =
      (command: ClientCommand): ClientCommand =>
      (now) =>
        onTop(now, TEST) && now.test.run === run ? command(now) : step(now);
    const effect = request<ClientState, readonly string[]>(
      () => measure(state.ports),
      (lines) => ifShown((now) => step({ ...now, test: { run, lines } })),
      (failure) => ifShown((now) => step(reportFailure(popped(now), 'Failed', failure))),
    );
    return step({ ...pushed(state, page), runs: run, test: { run, lines: null } }, effect);
  };
}

async function measure(ports: Ports): Promise<readonly string[]> {
  const { paths, leftOut } = await ports.call('probe', { interface: null, remote: null });
  const out = leftOut.map(({ section, address, reason }) => `${section} ${address}: left out, ${reason}`);
  const lines = [...paths.flatMap(probeSentences), ...out];
  return lines.length === 0 ? ['rsiod has no path'] : lines;
}
