// Implements `watch`: takes a snapshot of the daemon each second and shows what has changed. The command runs until the user stops it, or
// for the number of seconds given with --count. The rates are computed by watch-sample.ts; watch-picture.ts makes the lines, and
// watch-screen.ts writes them. Invariant: however `watch` ends, the screen is closed before anything else is printed.

import { sleep } from '@rsio/base/lib/waiting';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { JSON_OPTION } from '@rsio/common/cli/command';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { WATCH_SHAPE } from '../../cli/json-shapes.ts';
import { WATCH_INTERVAL_MS } from '../../limits.ts';
import { PlotHistory, type PlotLetters } from './watch-picture.ts';
import { type Snapshot, sampleOf } from './watch-sample.ts';
import { jsonScreen, pipeScreen, processWatchPorts, terminalScreen, type WatchScreen, type WatchPorts } from './watch-screen.ts';

export const WATCH = defineCommand({
  call: { by: 'words', words: 'watch' },
  synopsis: 'watch [--count N] [--ascii]',
  summary: 'shows the state and load of every path, once per second',
  details: `For each path, shows the state, the requests per second, the round trip and a
plot of the load. For each direction of a path, shows the state and the data
rate. Also shows which volumes are waiting, and why. On a terminal, the command
updates the display every second until Ctrl-C. If stdout is a pipe or a file,
the command prints new lines every second. With --json, the command prints one
line every second.`,
  options: {
    count: { kind: 'text', value: 'N', help: 'with watch: stop after N seconds' },
    ascii: { kind: 'flag', help: 'with watch: draw with ASCII characters only' },
    json: JSON_OPTION,
  },
  json: WATCH_SHAPE,
  run: async (context, { count, ascii, json }) => {
    await watch(context, { count: countOf(count), ascii, json });
    return 0;
  },
});

interface WatchOptions {
  /** Number of seconds to watch; null to continue until the user stops the command. */
  readonly count: number | null;
  readonly ascii: boolean;
  readonly json: boolean;
}

/** Throws the errors of calls to the daemon, and E_NOT_RUNNING if the daemon exits while `watch` is running. */
export async function watch(context: CommandContext, options: WatchOptions, ports: WatchPorts = processWatchPorts()): Promise<void> {
  const screen = screenFor(context, options, ports);
  let off = (): void => undefined;
  const stopped = new Promise<'stopped'>((resolve) => {
    off = ports.onStop(() => resolve('stopped'));
  });
  try {
    await showEverySecond(context, options.count, screen, stopped);
  } finally {
    off();
    screen.close();
  }
}

async function showEverySecond(
  context: CommandContext,
  count: number | null,
  screen: WatchScreen,
  stopped: Promise<'stopped'>,
): Promise<void> {
  const history = new PlotHistory();
  let before = await Promise.race([lookAt(context), stopped]);
  for (let shown = 0; before !== 'stopped' && shown !== count; shown++) {
    const waitMs = Math.max(0, before.monotonicMs + WATCH_INTERVAL_MS - context.clock.monotonicMs());
    if ((await Promise.race([sleep(context.clock, waitMs), stopped])) === 'stopped') return;
    const now = await Promise.race([lookAt(context).catch(throwEnded), stopped]);
    if (now === 'stopped') return;
    const sample = sampleOf(before, now);
    history.add(sample);
    screen.show(sample, history);
    before = now;
  }
}

async function lookAt({ call, clock }: CommandContext): Promise<Snapshot> {
  const [status, stats] = await Promise.all([call('status', {}), call('stats', {})]);
  return { atMs: clock.wallMs(), monotonicMs: clock.monotonicMs(), status, stats };
}

/** Rethrows the error of a call to the daemon. If the daemon has exited, the message of the rethrown error says so. */
function throwEnded(thrown: unknown): never {
  const { code, context } = toRsError(thrown);
  if (code !== 'E_NOT_RUNNING' && code !== 'E_RESET') throw thrown;
  const sentence = 'rsiod ended during watch: rsclogcat -n 20 shows why, rsiod starts it again';
  throw new RsError('E_NOT_RUNNING', sentence, context, thrown);
}

function screenFor({ out }: CommandContext, { json, ascii }: WatchOptions, { terminal, isUnicode }: WatchPorts): WatchScreen {
  if (json) return jsonScreen(out);
  const letters: PlotLetters = isUnicode && !ascii ? 'unicode' : 'ascii';
  return terminal === null ? pipeScreen(out, letters) : terminalScreen(out, terminal, letters);
}

function countOf(text: string | null): number | null {
  if (text === null) return null;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usageError(`Wrong --count ${text}: give a number of seconds, 1 or more`);
  return Number(text);
}
