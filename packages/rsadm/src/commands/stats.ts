// Implements `stats`, which shows totals, rates and latencies of each client and volume. The rates are computed from two samples.
// Invariant: a worker that does not answer does not delay the command. The command shows the last figures of that worker, with their age.

import { sleep } from '@rsio/base/lib/waiting';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { parseDuration, quoteText } from '@rsio/base/lib/units';
import { statsTable } from '@rsio/api/views/server-stats';
import { defineCommand, usageError } from '../cli/context.ts';
import { STATS_INTERVAL_MAX_MS, STATS_INTERVAL_MS } from '../cli/limits.ts';

export const STATS = defineCommand({
  call: { by: 'words', words: 'stats' },
  synopsis: 'stats [NAME] [--interval T]',
  summary: 'shows what clients do: totals, rates, latencies',
  details: `NAME is a client or a volume; default: all. The totals count from the beginning
of the client's session. A latency is the time from the arrival of a request
until its answer is ready; of 1000 requests, one takes longer than p99.9. The
rates are averages over the interval, 1s by default; with --json, the command
prints one sample with the rates of the last seconds.`,
  options: { interval: { kind: 'text', value: 'T', help: 'measure the rates over T, such as 10s' }, json: JSON_OPTION },
  json: SERVER_METHODS.stats.result,
  operands: { min: 0, max: 1 },
  completes: `"\${ask[@]}" volume list | tail -n +2 | cut -d' ' -f1`,
  run: async ({ call, clock, out, note }, { interval, json }, [name = null]) => {
    const intervalMs = intervalOf(interval);
    const before = await call('stats', {});
    if (json) return printJson({ out }, before);
    const beforeMs = clock.monotonicMs();
    await sleep(clock, intervalMs);
    const now = await call('stats', {});
    const table = statsTable(before, now, clock.monotonicMs() - beforeMs, name);
    if (table !== null) out(table);
    else
      note(name === null ? 'No client uses a volume' : `No client uses ${quoteText(name)}: give the name of a client or a volume in use`);
    return undefined;
  },
});

function intervalOf(text: string | null): number {
  if (text === null) return STATS_INTERVAL_MS;
  let ms: number;
  try {
    ms = parseDuration(text);
  } catch {
    ms = 0;
  }
  if (ms > 0 && ms <= STATS_INTERVAL_MAX_MS) return ms;
  throw usageError(`Wrong --interval ${quoteText(text)}: give a time such as 1s or 10s, at most ${STATS_INTERVAL_MAX_MS / 1_000}s`);
}
