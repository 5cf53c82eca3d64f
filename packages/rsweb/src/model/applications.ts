// Chooses the reports of an application that are shown on pages, and makes the findings about applications. Each node reports the
// application as it sees it. Pure. Invariants: an application is shown once, as its holder sees it, unless several nodes say that they hold
// it; a report of another machine never hides a contradicting report of this machine's own node.

import { hrefOf } from './ids.ts';
import type { Application, Finding, Picture } from './picture.ts';
import { finding } from './remedies.ts';

type Given = Pick<Picture, 'applications' | 'clients' | 'machines'>;

export function shownApplications({ applications, clients, machines }: Given): Application[] {
  const local = machines.find(({ isLocal }) => isLocal)?.id ?? null;
  const own = new Set(clients.flatMap(({ id, machine }) => (machine !== null && machine === local ? id : [])));
  // Applications with the same name on other nodes are different ones. All nodes of one application have the same list of nodes.
  const groups = grouped(applications, ({ name, nodes }) => `${nodes.toSorted()[0] ?? ''} ${name}`);
  return groups.flatMap((reports) => {
    const holders = reports.filter(({ on, reporter }) => on === reporter);
    const best = reports.toSorted((left, right) => rankOf(left, own) - rankOf(right, own)).slice(0, 1);
    if (holders.length === 0) return best;
    const contradicts = ({ on, state }: Application): boolean => state !== 'unknown' && !holders.some(({ reporter }) => reporter === on);
    return [...holders, ...reports.filter((one) => own.has(one.reporter) && contradicts(one))];
  });
}

/** A node that knows nothing comes last, and what this machine says comes first. */
function rankOf({ state, reporter }: Application, own: ReadonlySet<string>): number {
  if (state === 'unknown') return 3;
  if (own.has(reporter)) return 0;
  return state === 'starting' || state === 'stopping' ? 1 : 2;
}

/** Returns a list for each node that reports applications, so that no node can displace the findings of others. */
export function applicationFindings(picture: Given): Finding[][] {
  const shown = new Set(shownApplications(picture));
  return grouped(picture.applications, ({ reporter }) => reporter).map((reports) => [
    ...reports.filter((one) => shown.has(one)).flatMap(stateFindings),
    ...reports.filter(({ remains }) => remains).map(remainsFinding),
    ...reports
      .filter(({ isDrained }) => isDrained)
      .slice(0, 1)
      .map(drainedFinding),
  ]);
}

function grouped(all: readonly Application[], keyOf: (one: Application) => string): Application[][] {
  const groups = new Map<string, Application[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group === undefined) groups.set(keyOf(one), [one]);
    else group.push(one);
  }
  return [...groups.values()];
}

function placeAt(node: string) {
  return { where: `client ${node}`, href: hrefOf('client', node) };
}

function stateFindings(application: Application): Finding[] {
  const { name, state, on, nodes, next, sinceMs, reporter } = application;
  const why = application.why === '' ? '' : ` (${application.why})`;
  const place = { where: `application ${name}`, href: hrefOf('client', on ?? reporter), sinceMs };
  const told = (severity: Finding['severity'], kind: string, sentence: string, ...commands: string[]): Finding[] => [
    finding(severity, `${kind} ${reporter}`, sentence, { ...place, commands }),
  ];
  const look = `look at rsapp and at the paths to the servers on its nodes (${nodes.join(', ')})`;
  if (state === 'waiting')
    return told(
      'error',
      'nowhere',
      `Application ${name} is wanted, and runs nowhere${why}: ${look}`,
      'rsconfig app list',
      'rsconfig doctor',
    );
  if (state === 'unknown')
    return told('error', 'unknown', `It is not known whether application ${name} runs${why}: ${look}`, 'rsconfig doctor');
  if (application.failed)
    return told(
      'error',
      'failed',
      `Application ${name} is stopped${why}: repair its service, then start it again`,
      `rsconfig app start ${name}`,
    );
  if (state === 'running' && next === null && nodes.length > 1)
    return told(
      'warning',
      'alone',
      `No other node could take application ${name} over now: see that rsiod and rsapp run on its other nodes`,
    );
  return [];
}

function remainsFinding({ name, why, reporter, sinceMs }: Application): Finding {
  const sentence = `Application ${name} cannot be removed from node ${reporter} (${why}): end there what uses it, rsapp then goes on by itself`;
  return finding('error', `remains ${name}`, sentence, { ...placeAt(reporter), sinceMs });
}

function drainedFinding({ reporter }: Application): Finding {
  const sentence = `Node ${reporter} is drained, and takes no application: end the drain there when it may have applications again`;
  return finding('warning', 'drained', sentence, { ...placeAt(reporter), commands: ['rsconfig node drain --end'] });
}
