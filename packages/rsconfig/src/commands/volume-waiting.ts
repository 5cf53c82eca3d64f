// Implements -a --wait and -d --wait: repeats the request for volumes that were refused for a temporary reason. This file also lists
// unreachable servers with the last errors on their paths, and shows a progress line on a terminal. Invariants: a successful outcome is
// final; outcomes keep the order of rsiod's first answer; the progress line never changes a result.

import type { AttachOutcome, PathView, ServerView } from '@rsio/api/rsiod/methods';
import type { Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import type { CommandContext } from '../cli/context.ts';
import { VOLUME_PROGRESS_MS } from '../limits.ts';
import { type Poll, type WaitResult, unfinishedMessage, waitUntil } from '../cli/waiting.ts';
import { endPoint, stateName } from '../output/format.ts';

export interface WaitedOutcomes {
  readonly outcomes: readonly AttachOutcome[];
  /** True if the command has nothing left to wait for; false if its wait has timed out or was interrupted. */
  readonly isDone: boolean;
}

type VolumeRequest = (names: readonly string[]) => Promise<readonly AttachOutcome[]>;

const ATTACH_CAN_PASS: readonly string[] = ['E_NO_PATH', 'E_UNKNOWN_VOLUME', 'E_TIMEOUT', 'E_HELD', 'E_MOVED', 'E_BUSY'];
const DETACH_CAN_PASS: readonly string[] = ['E_NO_PATH', 'E_IN_USE', 'E_TIMEOUT'];

/**
 * Attaches the named volumes. Without names, the function attaches all volumes that the servers offer, and waits until every server is
 * reachable. If `server` is not null, the function attaches only volumes of the given server.
 */
export async function attachWaiting(
  context: CommandContext,
  limitMs: number,
  { names, server }: { readonly names: readonly string[]; readonly server: string | null },
  attach: VolumeRequest,
): Promise<WaitedOutcomes> {
  const round = new Rounds(names, attach, ATTACH_CAN_PASS);
  const waited = await waitUntil(context, limitMs, async () => {
    const missing = names.length > 0 ? [] : (await unreachableServers(context, server)).map(({ sentence }) => sentence);
    const { value, waitsFor } = await round.next(missing.length > 0);
    return { value, waitsFor: [...missing, ...waitsFor] };
  });
  return outcomesOf(context, limitMs, waited, 'what was attached stays attached, rsconfig -l shows it');
}

export async function detachWaiting(
  context: CommandContext,
  limitMs: number,
  names: readonly string[],
  detach: VolumeRequest,
): Promise<WaitedOutcomes> {
  const round = new Rounds(names, detach, DETACH_CAN_PASS);
  const waited = await waitUntil(context, limitMs, () => round.next(false));
  return outcomesOf(context, limitMs, waited, 'what was detached stays detached, rsconfig -l shows the rest');
}

class Rounds {
  private readonly request: VolumeRequest;
  private readonly canPass: readonly string[];
  /** Key: the requested name of a volume. Value: its outcome; null if the volume has no outcome yet. */
  private outcomes: Map<string, AttachOutcome | null>;
  private isWhole: boolean;

  constructor(names: readonly string[], request: VolumeRequest, canPass: readonly string[]) {
    this.request = request;
    this.canPass = canPass;
    this.outcomes = new Map(names.map((name) => [name, null]));
    this.isWhole = names.length === 0;
  }

  /**
   * Asks rsiod again for the volumes that have no final outcome yet. `isGrowing` is true if no names were given and unreachable servers may
   * still offer more volumes.
   */
  async next(isGrowing: boolean): Promise<Poll<readonly AttachOutcome[]>> {
    if (this.isWhole) {
      for (const outcome of await this.request([]))
        if (this.outcomes.get(outcome.volume)?.done !== true) this.outcomes.set(outcome.volume, outcome);
      this.isWhole = isGrowing;
    } else {
      const left = [...this.outcomes].flatMap(([name, outcome]) => (outcome === null || this.mayPass(outcome) ? [name] : []));
      const answers = await this.request(left);
      for (const [at, name] of left.entries()) this.outcomes.set(name, answers[at] ?? null);
    }
    const value = [...this.outcomes.values()].filter((outcome) => outcome !== null);
    return { value, waitsFor: value.filter((outcome) => this.mayPass(outcome)).map(({ volume, error }) => `${volume}: ${error?.message}`) };
  }

  private mayPass({ error }: AttachOutcome): boolean {
    return error !== null && this.canPass.includes(error.code);
  }
}

function outcomesOf(
  context: CommandContext,
  limitMs: number,
  { how, last }: WaitResult<readonly AttachOutcome[]>,
  kept: string,
): WaitedOutcomes {
  if (how === 'done') return { outcomes: last?.value ?? [], isDone: true };
  const sentence = unfinishedMessage(how, limitMs, kept);
  if (last === null) throw new RsError('E_TIMEOUT', `rsiod is still working on it: ${sentence}`);
  context.note(sentence);
  return { outcomes: last.value, isDone: false };
}

/** Maximum number of paths shown per server. Further paths would repeat the same reasons; -m status shows all paths. */
const PATHS_SHOWN_MAX = 4;

export interface UnreachableServer {
  /** A text such as `server big-5 of osl is down`. */
  readonly sentence: string;
  /** A text such as `if0 -> 192.168.10.9/5000: Connection refused`. */
  readonly why: string;
}

/** Returns the unreachable servers. If `only` is not null, the function considers only the server with this name. */
export async function unreachableServers({ call }: Pick<CommandContext, 'call'>, only: string | null): Promise<UnreachableServer[]> {
  const { namespaces } = await call('query', { refresh: false });
  const servers = namespaces.flatMap(({ name, servers: own }) => own.map((server) => ({ namespace: name, server })));
  return servers
    .filter(({ server }) => server.state !== 'connected' && (only === null || server.name === only))
    .map(({ namespace, server }) => ({ sentence: `server ${server.name} of ${namespace} is ${server.state}`, why: reasonsOf(server) }));
}

/** Returns the complete error message about one unreachable server. */
export function unreachableMessage({ sentence, why }: UnreachableServer): string {
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}: ${why}: see rsconfig -m status -v`;
}

function reasonsOf({ paths }: ServerView): string {
  if (paths.length === 0) return 'no interface of this machine has a path to it';
  const shown = paths.slice(0, PATHS_SHOWN_MAX).map(pathText);
  const left = paths.length - shown.length;
  return [...shown, ...(left > 0 ? [`and ${plural(left, 'more path')}`] : [])].join('; ');
}

function pathText(path: PathView): string {
  return `${path.interface} -> ${endPoint(path.address, path.port)}: ${path.lastError ?? stateName(path.state)}`;
}

export async function withProgress<T>(
  { clock, call, waiting }: Pick<CommandContext, 'clock' | 'call' | 'waiting'>,
  doing: 'attaching' | 'detaching',
  work: Promise<T>,
): Promise<T> {
  const { progress } = waiting;
  if (progress === null) return await work;
  let isDone = false;
  let timer: Timer;
  const show = async (): Promise<void> => {
    // An error of the call `local` is ignored: only the progress line needs the call, and `work` reports its own errors.
    const attached = await call('local', {}).then(
      ({ attachments }) => attachments.length,
      () => null,
    );
    if (isDone) return;
    if (attached !== null) progress(`${doing}: ${plural(attached, 'volume')} attached so far`);
    timer = clock.after(VOLUME_PROGRESS_MS, () => void show());
  };
  timer = clock.after(VOLUME_PROGRESS_MS, () => void show());
  try {
    return await work;
  } finally {
    isDone = true;
    timer.cancel();
    progress('');
  }
}
