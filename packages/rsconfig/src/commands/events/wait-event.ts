// Implements `wait-event`: waits for an event of rsiod or rsapp, or a message of another node, for scripts. Invariants: with the position
// that the previous command has printed, nothing is missed between two commands, and nothing is reported twice; the position passes only
// the printed event and what came before it from the same source.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { EVENTS_KEPT, EVENTS_WAIT_MAX_MS } from '@rsio/common/control/limits';
import { MESSAGE } from '@rsio/api/rsiod/message-methods';
import { EVENT } from '@rsio/common/control/method-table';
import type { Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { object, orNull, text, word } from '@rsio/base/lib/shape';
import { parseDuration } from '@rsio/base/lib/units';
import { type CommandContext, defineCommand } from '../../cli/context.ts';
import { EVENT_RETRY_MS, WAIT_EVENT_LATE_CODE } from '../../limits.ts';
import {
  type Found,
  isWanted,
  lineOf,
  parsePosition,
  type Position,
  printPosition,
  type Source,
  SOURCES,
  sourcesFor,
  type Wanted,
} from './event-match.ts';

const FOUND = object({
  after: text('The position behind it, for --after'),
  source: orNull(word(SOURCES), 'null: with --position, nothing was waited for'),
  event: orNull(EVENT, 'null: it is a message'),
  message: orNull(MESSAGE, 'null: it is an event'),
});

export const WAIT_EVENT = defineCommand({
  call: { by: 'words', words: 'wait-event' },
  synopsis: 'wait-event [--kind KIND] [--about NAME] [--state STATE]\n[--from NODE] [--after POSITION] [--timeout T] [--position]',
  summary: 'waits for an event, or for a message of another node',
  details: `Prints the first event to which all given options apply, and exits with 0. Exits
with ${WAIT_EVENT_LATE_CODE} after the time --timeout. The first word of the output is the position
behind the event. With --after POSITION, the next command goes on there, so that
nothing is missed between the two. Without it, only what comes from now on
counts. rsconfig events shows what events look like: KIND is the first word,
NAME what follows, STATE the new state. A message of rsconfig send has the kind
message, and its NAME is the node. docs/OPERATING.md has an example.`,
  options: {
    kind: { kind: 'text', value: 'KIND', help: 'such as application, node, volume, path, message' },
    about: { kind: 'text', value: 'NAME', help: 'what it is about, such as postgres' },
    state: { kind: 'text', value: 'STATE', help: 'the new state, such as running or failed' },
    from: { kind: 'text', value: 'NODE', help: 'with wait-event: only a message of this node' },
    after: { kind: 'text', value: 'POSITION', help: 'go on behind this position' },
    timeout: { kind: 'text', value: 'T', help: 'longest wait, such as 30s or 5m; default: for ever' },
    position: { kind: 'flag', help: 'print the present position, and do not wait' },
    json: JSON_OPTION,
  },
  json: FOUND,
  operands: { min: 0, max: 0 },
  run: async (context, { kind, about, state, from, after, timeout, position: isPosition, json }) => {
    const wanted = { kind, about, state, from };
    const sources = isPosition ? SOURCES : sourcesFor(wanted);
    const limitMs = timeout === null ? null : parseDuration(timeout);
    const beganMs = context.clock.wallMs();
    const begin: Position = after === null ? { rsiod: null, rsapp: null, message: null } : parsePosition(after);
    for (const source of sources) begin[source] ??= await present(context, source);
    if (isPosition) {
      if (json) return printJson(context, { after: printPosition(begin), source: null, event: null, message: null });
      context.out(`${printPosition(begin)}\n`);
      return 0;
    }
    const { found, position } = await firstOf(context, sources, wanted, begin, beganMs, limitMs);
    if (found === null) {
      context.note(`Nothing of that kind has come within ${timeout ?? ''}; go on with --after ${printPosition(position)}`);
      return WAIT_EVENT_LATE_CODE;
    }
    if (json) return printJson(context, { after: printPosition(position), ...found });
    context.out(lineOf(found, position));
    return 0;
  },
});

interface Answer {
  readonly found: readonly Found[];
  readonly last: number;
  readonly missed: number;
}

async function read({ call, callApp }: CommandContext, source: Source, after: number | null, waitMs: number): Promise<Answer> {
  const params = { count: EVENTS_KEPT, after, waitMs };
  if (source === 'message') {
    const { messages, last, missed } = await call('messages', params);
    return { last, missed, found: messages.map((message) => ({ source, event: null, message })) };
  }
  const { events, last, missed } = source === 'rsiod' ? await call('events', params) : await callApp('events', params);
  return { last, missed, found: events.map((event) => ({ source, event, message: null })) };
}

/** Returns null if rsapp does not run. */
async function present(context: CommandContext, source: Source): Promise<number | null> {
  try {
    return (await read(context, source, null, 0)).last;
  } catch (thrown) {
    if (source === 'rsapp' && toRsError(thrown).code === 'E_NOT_RUNNING') return null;
    throw thrown;
  }
}

/** `found`: null after the time limit. */
async function firstOf(
  context: CommandContext,
  sources: readonly Source[],
  wanted: Wanted,
  begin: Position,
  beganMs: number,
  limitMs: number | null,
): Promise<{ readonly found: Found | null; readonly position: Position }> {
  const position = { ...begin };
  const timers = new Set<Timer>();
  const pause = (ms: number): Promise<null> => new Promise((resolve) => void timers.add(context.clock.after(ms, () => resolve(null))));
  const follows = sources.map((source) => follow(context, source, wanted, position, beganMs, pause));
  // The other sources are still followed until the program ends their calls.
  for (const one of follows) one.catch(() => undefined);
  try {
    const found = await Promise.race([...follows, ...(limitMs === null ? [] : [pause(limitMs)])]);
    const passed = { ...position };
    if (found !== null) passed[found.source] = (found.event ?? found.message).number;
    return { found, position: passed };
  } finally {
    for (const timer of timers) timer.cancel();
  }
}

/** Resolves with the first wanted event of one source. Moves the source's part of `position` past the unwanted events before it. */
async function follow(
  context: CommandContext,
  source: Source,
  wanted: Wanted,
  position: Position,
  beganMs: number,
  pause: (ms: number) => Promise<null>,
): Promise<Found> {
  // The first query does not wait, so that numbers that have started over are noticed at once.
  for (let waitMs = 0; ; waitMs = EVENTS_WAIT_MAX_MS) {
    const after = position[source];
    const answer = await read(context, source, after, waitMs).catch(passing);
    if (answer === null) {
      await pause(EVENT_RETRY_MS);
      continue;
    }
    // The daemon has lost its events, and counts from the start.
    if (after !== null && answer.last < after) {
      position[source] = 0;
      continue;
    }
    if (answer.missed > 0) context.note(`${answer.missed} were missed, because they are no longer kept (${source})`);
    // If the daemon was started meanwhile, its events from before this command do not count.
    const found = answer.found.filter(({ event, message }) => after !== null || (event ?? message)!.atMs >= beganMs);
    for (const one of found) {
      if (isWanted(wanted, one)) return one;
      position[source] = (one.event ?? one.message).number;
    }
    position[source] = answer.last;
  }
}

/** A daemon that restarts will answer again. Returns null for such an error, and throws others. */
function passing(thrown: unknown): null {
  if (['E_NOT_RUNNING', 'E_RESET', 'E_TIMEOUT', 'E_LIMIT', 'E_SHUTTING_DOWN'].includes(toRsError(thrown).code)) return null;
  throw thrown;
}
