// Implements the commands that only show state: -l, -q, -m status, -m stats and events. Invariant: stdout contains only the requested
// information; warnings go to stderr and never change the exit code.

import { sleep } from '@rsio/base/lib/waiting';
import { parseSince, sinceHelp } from '@rsio/common/cli/since';
import { RsError } from '@rsio/base/lib/errors';
import { parseWhole, quoteText } from '@rsio/base/lib/units';
import { EVENTS_KEPT } from '@rsio/common/control/limits';
import { CONTROL_METHODS, type NamespaceView } from '@rsio/api/rsiod/methods';
import { JSON_OPTION, printJson, VERBOSE_OPTION, WAIT_OPTION } from '@rsio/common/cli/command';
import { type CommandContext, defineCommand } from '../cli/context.ts';
import { STATS_SAMPLE_MS } from '../limits.ts';
import { formatStats } from '../output/format-stats.ts';
import { formatEvents, formatLocal, formatQuery, formatStatus } from '../output/format.ts';
import {
  awaitedWarnings,
  offersNothing,
  queryWarnings,
  statusWarnings,
  type Voters,
  voterKey,
  waitingWarnings,
} from '../output/warnings.ts';
import { pathsUp } from './daemon-lifecycle.ts';
import { MERGED_EVENTS, mergedEvents } from './events/merged-events.ts';

export const LOCAL = defineCommand({
  call: {
    by: 'option',
    option: 'local',
    short: 'l',
    help: 'list attached volumes; -lv adds the block device;\n-lvv adds the raw device, size, number of servers and gates',
  },
  synopsis: '[-l[v[v]]]',
  summary: 'lists the volumes attached to this machine',
  options: { verbose: VERBOSE_OPTION, json: JSON_OPTION },
  json: CONTROL_METHODS.local.result,
  run: async (context, { verbose, json }) => {
    const result = await context.call('local', {});
    if (json) return printJson(context, result);
    context.out(formatLocal(result.attachments, verbose));
    for (const warning of [...waitingWarnings(result.attachments), ...awaitedWarnings(result.awaited)]) context.note(warning);
    if (result.attachments.length + result.awaited.length === 0)
      context.note('No volume is attached: rsconfig -q lists the offered volumes, rsconfig -a NAME attaches one');
  },
});

export const QUERY = defineCommand({
  call: {
    by: 'option',
    option: 'query',
    short: 'q',
    help: 'list servers and their volumes; -qv adds addresses and\nstates; -qvv adds ids, limits and holders; -qvvv adds paths',
  },
  synopsis: '-q[v[v[v]]]',
  summary: 'lists namespaces, servers and their volumes',
  options: { verbose: VERBOSE_OPTION, json: JSON_OPTION },
  json: CONTROL_METHODS.query.result,
  run: async (context, { verbose, json }) => {
    const result = await context.call('query', { refresh: true });
    if (json) return printJson(context, result);
    context.out(formatQuery(result.namespaces, verbose));
    const voters = await votersOf(context, result.namespaces);
    for (const warning of queryWarnings(result.namespaces, voters, context.configFile)) context.note(warning);
  },
});

/** Asks for the voters of the mirrors only if a server offers nothing, because rsiod then asks the servers. */
async function votersOf(context: CommandContext, namespaces: readonly NamespaceView[]): Promise<Voters> {
  if (!namespaces.some(({ servers }) => servers.some(offersNothing))) return new Set();
  const { mirrors } = await context.call('mirrors', { namespace: null }).catch(() => ({ mirrors: [] }));
  return new Set(mirrors.flatMap(({ namespace, voters }) => voters.map(({ server }) => voterKey(namespace, server))));
}

export const STATUS = defineCommand({
  call: { by: 'monitor', word: 'status' },
  synopsis: '-m status [-v] [--wait[=T]]',
  summary: 'shows interfaces and paths',
  details: `With --wait, the command waits until every path is up. The exit code is 1 if a
path is not up in time.`,
  options: { verbose: VERBOSE_OPTION, wait: WAIT_OPTION, json: JSON_OPTION },
  json: CONTROL_METHODS.status.result,
  run: async (context, { verbose, wait, json }) => {
    const exitCode = wait === null || (await pathsUp(context, wait)) ? 0 : 1;
    const result = await context.call('status', {});
    if (json) return printJson(context, result) ?? exitCode;
    context.out(formatStatus(result, verbose));
    // With -v, stdout already lists the volumes whose I/O is waiting, so the warnings omit these volumes.
    const view = verbose === 0 ? result : { ...result, waiting: [] };
    for (const warning of statusWarnings(view, context.configFile)) context.note(warning);
    return exitCode;
  },
});

export const STATS = defineCommand({
  call: { by: 'monitor', word: 'stats' },
  synopsis: '-m stats',
  summary: 'shows counters, rates and latencies of paths and volumes',
  details: `For each path, shows the number of requests, the latencies from request to
answer, and the data rate in each direction. rsiod uses these rates to
distribute requests over the paths. The field resent counts requests that were
sent again on this path after another path fell silent or failed. The field
hedged counts READs that were also sent on this path because another path was
late. The field probed counts requests that were copied to this path only to
measure its data rate. The field dropped counts answers that arrived after
another path had delivered the result. Latencies are those of all requests since
rsiod was started; of 1000 requests, one takes longer than p99.9.`,
  options: { json: JSON_OPTION },
  json: CONTROL_METHODS.stats.result,
  run: async (context, { json }) => {
    const before = await context.call('stats', {});
    if (json) return printJson(context, before);
    const beforeMs = context.clock.monotonicMs();
    await sleep(context.clock, STATS_SAMPLE_MS);
    const now = await context.call('stats', {});
    context.out(formatStats(before, now, context.clock.monotonicMs() - beforeMs));
    if (now.paths.length === 0) context.note(`No path: see rsconfig -m status and ${context.configFile}`);
    if (now.volumes.length === 0) context.note('No volume is attached: attach one with rsconfig -a NAME');
  },
});

export const EVENTS = defineCommand({
  call: { by: 'words', words: 'events' },
  synopsis: 'events [--number N] [--since TIME]',
  summary: 'lists the latest changes of paths, volumes and applications',
  details: `rsiod and rsapp each keep their last ${EVENTS_KEPT} events, even across restarts.
A script waits for the next one with rsconfig wait-event.`,
  options: {
    number: { kind: 'text', short: 'n', value: 'N', help: 'show the last N events; default: all' },
    since: { kind: 'text', value: 'TIME', help: sinceHelp('events') },
    json: JSON_OPTION,
  },
  json: MERGED_EVENTS,
  run: async (context, { number, since, json }) => {
    const sinceMs = parseSince(since, context.clock.wallMs());
    const count = number === null ? EVENTS_KEPT : parseWhole(number);
    if (count === undefined || count < 1 || count > EVENTS_KEPT)
      throw new RsError('E_USAGE', `Wrong -n ${quoteText(number ?? '')}: allowed is 1 to ${EVENTS_KEPT}`);
    const result = await mergedEvents(context, count);
    const events = result.events.filter(({ atMs }) => sinceMs === null || atMs >= sinceMs);
    if (json) return printJson(context, { ...result, events });
    context.out(formatEvents(events));
    if (result.events.length === 0) context.note('No state has changed yet');
    else if (events.length === 0) context.note('No state has changed since then');
  },
});
