// Code about applications that rsconfig and crsio share: texts, the check before a removal, and the reload of rsapp. Pure, except for
// the reload. Invariant: both programs describe an application in the same way and refuse the same removals.

import { type AppCall, type AppOrder, type ApplicationsView, type ApplicationView, sinceText } from '../rsapp/app-methods.ts';
import { RsError } from '@rsio/base/lib/errors';

/** Returns the lines that describe an application. */
export function applicationLines(view: ApplicationView, wallMs: number): string[] {
  const { state, on, volumes, nodes, next, why } = view;
  return [
    `State    ${state}${on === null ? '' : `, on ${on}`}, since ${sinceText(view, wallMs)}`,
    `Volumes  ${volumes.join(' ')}`,
    `Nodes    ${nodes.join(' ')}`,
    `Next     ${next ?? 'none is known to be able to take it over'}`,
    ...(why === '' ? [] : [`Why      ${why}`]),
  ];
}

/** Returns the sentence that says that an order was executed. `view`: rsapp's answer. */
export function orderDone(order: AppOrder, { name, on }: ApplicationView, to: string | null): string {
  switch (order) {
    case 'start':
      return `${name} runs${on === null ? '' : ` on ${on}`}`;
    case 'move':
      return `${name} has moved to ${on ?? to ?? ''}`;
    case 'stop':
      return `${name} is stopped`;
    case 'enable':
      return `${name} is enabled`;
    case 'disable':
      return `${name} is disabled`;
  }
}

export function drainDone(end: boolean): string {
  return end ? 'the drain of this node has ended' : 'this node is drained';
}

/** Throws E_IN_USE if the application is on this node, because its section must then stay. `there`: null if rsapp does not answer. */
export function checkRemoval(there: ApplicationsView | null, name: string): void {
  const found = there?.applications.find((one) => one.name === name);
  if (there === null || found === undefined || found.on !== there.node) return;
  throw new RsError('E_IN_USE', `${name} is on this node: rsconfig app stop ${name}, or rsconfig app move ${name}`);
}

/**
 * Makes rsapp read the file. Returns a sentence for each change; null if rsapp is not running and will therefore read the file when it
 * starts.
 */
export async function reloadApps(callApp: AppCall): Promise<readonly string[] | null> {
  try {
    return (await callApp('reload', {})).applied;
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_NOT_RUNNING') throw thrown;
    return null;
  }
}

/** Returns the command that starts rsapp. `rootOption`: '', or the option with the root directory, such as ` --root /srv/x`. */
export function appStartCommand(rootOption: string): string {
  return rootOption === '' ? 'systemctl enable --now rsapp' : `rsapp${rootOption}`;
}
