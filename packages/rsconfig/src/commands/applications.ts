// Implements the `app` commands and `node drain`. `app add` and `app remove` edit the [application] sections of the client's configuration file;
// the others ask rsapp, which runs the applications.

import { statSync } from 'node:fs';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { addApplication, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { APPLICATION, type AppOrder } from '@rsio/api/rsapp/app-methods';
import { RsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { flag, list, object } from '@rsio/base/lib/shape';
import { quoteText } from '@rsio/base/lib/units';
import { applicationLines, checkRemoval, drainDone, orderDone, reloadApps } from '@rsio/api/manage/applications';
import { firstColumnOf } from '@rsio/api/manage/derived';
import { appOrdered } from '../cli/app-waiting.ts';
import { type CommandContext, type ConfigCommand, defineCommand } from '../cli/context.ts';
import { changeConfig, givenKeys } from '../cli/config-edit.ts';

const COMPLETES_APP = firstColumnOf('app list');

export const APP_SHOW = defineCommand({
  call: { by: 'words', words: 'app show' },
  synopsis: 'app show NAME',
  summary: 'shows an application, and why it does not run',
  options: { json: JSON_OPTION },
  json: APPLICATION,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_APP,
  run: async (context, { json }, [name = '']) => {
    const { applications } = await context.callApp('applications', {});
    const found = applications.find((one) => one.name === name);
    if (found === undefined) throw new RsError('E_USAGE', `rsapp has no application ${quoteText(name)}: rsconfig app list lists them`);
    if (json) return printJson(context, found);
    context.out(`${applicationLines(found, context.clock.wallMs()).map(escapeControls).join('\n')}\n`);
    return 0;
  },
});

function orderCommand(order: Exclude<AppOrder, 'move'>, summary: string): ConfigCommand {
  return defineCommand({
    call: { by: 'words', words: `app ${order}` },
    synopsis: `app ${order} NAME`,
    summary,
    options: {},
    operands: { min: 1, max: 1 },
    completes: COMPLETES_APP,
    run: async (context, _options, [name = '']) => {
      const { application } = await appOrdered(context, 'app-order', { name, order, to: null }, (one) => one.name === name);
      context.out(`${orderDone(order, application, null)}\n`);
      return 0;
    },
  });
}

export const APP_START = orderCommand('start', 'starts an application on this node');
export const APP_STOP = orderCommand('stop', 'stops an application until app start, also after reboots');
export const APP_ENABLE = orderCommand('enable', 'allows the start of an application again');
export const APP_DISABLE = orderCommand('disable', 'stops an application, and refuses app start');

export const APP_MOVE = defineCommand({
  call: { by: 'words', words: 'app move' },
  synopsis: 'app move NAME [--to NODE]',
  summary: 'moves an application from this node to another one',
  options: { to: { kind: 'text', value: 'NODE', help: 'default: the next node that the servers see' } },
  operands: { min: 1, max: 1 },
  completes: COMPLETES_APP,
  run: async (context, { to }, [name = '']) => {
    const beganMs = context.clock.monotonicMs();
    const { application } = await appOrdered(context, 'app-order', { name, order: 'move', to }, (one) => one.name === name);
    const seconds = ((context.clock.monotonicMs() - beganMs) / 1000).toFixed(1);
    context.out(`${orderDone('move', application, to)} in ${seconds} s\n`);
    return 0;
  },
});

export const APP_ADD = defineCommand({
  call: { by: 'words', words: 'app add' },
  synopsis:
    'app add NAME --on NAME[,...] --nodes NODE[,...]\n--service UNIT | --program FILE [--stop-program FILE]\n[--mounts PATH[,...]] [--check-program FILE]\n[--moving-address A/LEN]',
  summary: 'adds an application to rscltcfg',
  details: `Give the same command on each of the nodes. Other keys, such as silent,
are in rscltcfg(5). A running rsapp applies the change at once. Then start the
application once, on one node: rsconfig app start NAME.`,
  options: {
    on: { kind: 'text', value: 'NAME[,...]', help: 'volumes; the holder of the first one runs the application' },
    nodes: { kind: 'text', value: 'NODE[,...]', help: 'nodes that may run it, in order of preference' },
    service: { kind: 'text', value: 'UNIT', help: 'systemd unit, which must be disabled in systemd' },
    program: { kind: 'text', value: 'FILE', help: 'program that is the service' },
    'stop-program': { kind: 'text', value: 'FILE', help: 'program that ends it' },
    'check-program': { kind: 'text', value: 'FILE', help: 'program that exits with 0 while the service is well' },
    mounts: { kind: 'text', value: 'PATH[,...]', help: 'mounts; VOLUME=PATH if it is not on the first volume' },
    'moving-address': { kind: 'text', value: 'A/LEN', help: 'address that moves along' },
  },
  operands: { min: 1, max: 1 },
  run: async (context, options, [name = '']) => {
    const { on: volumes, nodes, service, program, mounts } = options;
    if (volumes === null || nodes === null) throw new RsError('E_USAGE', 'Its volumes or nodes are missing: add --on and --nodes');
    const [stop, check, address] = [options['stop-program'], options['check-program'], options['moving-address']];
    const keys = givenKeys({ volumes, mounts, service, start: program, stop, check, address, nodes });
    await changeApps(context, (document) => addApplication(document, name, keys), `application ${name} added`);
    return 0;
  },
});

export const APP_REMOVE = defineCommand({
  call: { by: 'words', words: 'app remove' },
  synopsis: 'app remove NAME',
  summary: 'removes an application that is not here from rscltcfg',
  options: {},
  operands: { min: 1, max: 1 },
  completes: COMPLETES_APP,
  run: async (context, _options, [name = '']) => {
    checkRemoval(await context.callApp('applications', {}).catch(() => null), name);
    await changeApps(context, (document) => removeConfigSection(document, { type: 'application', name }), `application ${name} removed`);
    return 0;
  },
});

export const NODE_DRAIN = defineCommand({
  call: { by: 'words', words: 'node drain' },
  synopsis: 'node drain [--end]',
  summary: 'moves all applications away from this node',
  details: `The drain lasts until node drain --end, also over reboots. An application that
no other node can take is stopped, and waits for one.`,
  options: { end: { kind: 'flag', help: 'end the drain' }, json: JSON_OPTION },
  json: object({ drained: flag(), applications: list(APPLICATION) }),
  operands: { min: 0, max: 0 },
  run: async (context, { end, json }) => {
    const answer = await appOrdered(context, 'drain', { end }, ({ on }, node) => on === node);
    if (json) return printJson(context, answer);
    context.out(`${drainDone(end)}\n`);
    return 0;
  },
});

/**
 * Changes sections that only rsapp uses. If rsiod had read the last version of the file, it also reads the new version, so that doctor does
 * not report that rsiod uses an older one. Nothing changes in rsiod.
 */
async function changeApps(context: CommandContext, edit: (document: IniDocument) => IniDocument, done: string): Promise<void> {
  const isCurrent = await hasCurrentFile(context);
  await changeConfig(context, edit, done, null);
  if (isCurrent) await context.call('reload', {}).catch(() => undefined);
  await tellApps(context);
}

async function hasCurrentFile({ call, configFile }: CommandContext): Promise<boolean> {
  try {
    return statSync(configFile).mtimeMs <= (await call('daemon', {})).configuredMs;
  } catch {
    return false;
  }
}

async function tellApps(context: CommandContext): Promise<void> {
  const applied = await reloadApps(context.callApp);
  for (const sentence of applied ?? []) context.out(`${escapeControls(sentence)}\n`);
  if (applied === null) context.note('rsapp is not running: it reads the file when it starts');
}
