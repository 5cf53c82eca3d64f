// The commands that only look: -l, -q, -m status, -m stats, events. Text is format.ts, what is missing is said by remarks.ts.
// Invariant: stdout holds the view and nothing else; remarks go to stderr and never change the exit code.

import { EVENTS_KEPT, STATS_SAMPLE_MS } from '@rsio/protocol/limits';
import { formatEvents, formatLocal, formatQuery, formatStatus } from '../format.ts';
import { formatStats } from '../format-stats.ts';
import { queryRemarks, statusRemarks } from '../remarks.ts';
import { type CommandContext, printJson } from './command-context.ts';

interface ViewOptions {
  readonly json: boolean;
}

interface VerboseViewOptions extends ViewOptions {
  /** Number of v's. */
  readonly verbosity: number;
}

export async function showLocal(context: CommandContext, { json, verbosity }: VerboseViewOptions): Promise<void> {
  const result = await context.call('local', {});
  if (json) return printJson(context, result);
  context.out(formatLocal(result.attachments, verbosity));
  if (result.attachments.length === 0)
    context.note('No volume is attached: see rsconfig -q for what is offered, attach with rsconfig -a NAME');
}

export async function showQuery(context: CommandContext, { json, verbosity }: VerboseViewOptions): Promise<void> {
  const result = await context.call('query', { refresh: true });
  if (json) return printJson(context, result);
  context.out(formatQuery(result.namespaces, verbosity));
  for (const remark of queryRemarks(result.namespaces, context.configFile)) context.note(remark);
}

export async function showStatus(context: CommandContext, { json, verbosity }: VerboseViewOptions): Promise<void> {
  const result = await context.call('status', {});
  if (json) return printJson(context, result);
  context.out(formatStatus(result, verbosity));
  // The longer form has the waiting volumes in its text.
  const view = verbosity === 0 ? result : { ...result, waiting: [] };
  for (const remark of statusRemarks(view, context.configFile)) context.note(remark);
}

export async function showStats(context: CommandContext, { json }: ViewOptions): Promise<void> {
  const before = await context.call('stats', {});
  if (json) return printJson(context, before);
  const beforeMs = context.clock.monotonicMs();
  await new Promise<void>((resolve) => void context.clock.after(STATS_SAMPLE_MS, resolve));
  const now = await context.call('stats', {});
  context.out(formatStats(before, now, context.clock.monotonicMs() - beforeMs));
  if (now.paths.length === 0) context.note(`No path: see rsconfig -m status and ${context.configFile}`);
  if (now.volumes.length === 0) context.note('No volume is attached: attach one with rsconfig -a NAME');
}

export async function showEvents(context: CommandContext, { json }: ViewOptions): Promise<void> {
  const result = await context.call('events', { count: EVENTS_KEPT });
  if (json) return printJson(context, result);
  context.out(formatEvents(result.events));
  if (result.events.length === 0) context.note('No state has changed since rsiod was started');
}
