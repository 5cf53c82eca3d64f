// The first page of the appliance, and the pages of its network and system. Pure. Invariant: the hint names the next step, so that a new user
// who follows the hints gets a pool that clients can use.

import { otherSlot } from '@rsio/appliance/system-image';
import { plural } from '@rsio/base/lib/units';
import { failureText, open, pageOf } from '../../machine/machine.ts';
import { commandRow, EMPTY_ROW, menuRows, problemRow, textRow } from '../../machine/rows.ts';
import { CHANGE_PASSWORD, CHANGE_TIME, changeInterface, MAKE_SERVER, RESTORE_CONFIG, SAVE_CONFIG, UPGRADE } from '../work/forms.ts';
import { APPLIANCE_HELP, SYSTEM_HELP } from '../model/help-text.ts';
import type { ApplianceChoice, ApplianceLook, AppliancePage, ApplianceState } from '../model/state.ts';
import { asking } from '../work/ordering.ts';
import { DISKS_PAGE } from './disks-page.ts';

const NETWORK_PAGE: AppliancePage = pageOf<ApplianceState>('network', ({ view }) => ({
  title: 'Network',
  rows: [
    ...(view?.devices ?? []).map((device) => {
      const { name, mac, hasCarrier, addresses } = device;
      const own = view?.settings.interfaces.find((one) => one.mac === mac);
      const how = own === undefined || own.addresses.length === 0 ? 'DHCP' : 'static';
      const text = `${name}  ${how}  ${addresses.join(', ') || 'no address'}${hasCarrier ? '' : '  no carrier'}`;
      return { ...commandRow(changeInterface(device), `${hasCarrier ? '+' : '!'} ${text}`), id: name };
    }),
    ...(view !== null && view.devices.length === 0 ? [problemRow('! This machine has no network interface')] : []),
    EMPTY_ROW,
    textRow(`Host name: ${view?.settings.hostname ?? '-'}`, `Name servers: ${view?.settings.dns.join(', ') || 'by DHCP'}`),
  ],
  actions: null,
  hint: 'Enter changes an interface',
  help: { title: 'Network', text: APPLIANCE_HELP },
}));

const GO_BACK = asking(
  'Go back',
  'The next boot takes the system in the other slot. If it does not come up, the boot after that takes the present one',
  {
    doing: 'Going back',
    make: (ports) => ports.goBack(),
    done: (version) => `Version ${version} boots next. The restart makes it effective`,
  },
);
const RESTART = asking('Restart', 'Clients wait until the server is back', {
  doing: 'Restarting',
  make: (ports) => ports.power('reboot'),
  done: () => 'The appliance restarts',
});
const POWER_OFF = asking('Power off', 'Clients have no volumes of this server until it is back', {
  doing: 'Powering off',
  make: (ports) => ports.power('poweroff'),
  done: () => 'The appliance goes off',
});

const SYSTEM_PAGE: AppliancePage = pageOf<ApplianceState>('system', ({ view }) => {
  const changes: readonly (ApplianceChoice & { readonly detail: string })[] = [
    { label: 'Upgrade', command: UPGRADE, detail: 'from a file on a removable disk' },
    { label: 'Go back', command: GO_BACK, detail: 'to the system in the other slot' },
    { label: 'Save configuration', command: SAVE_CONFIG, detail: 'in one file on a removable disk' },
    { label: 'Restore configuration', command: RESTORE_CONFIG, detail: 'from such a file, at the next boot' },
  ];
  return {
    title: 'System',
    rows: [textRow(...slotTexts(view)), EMPTY_ROW, ...menuRows(changes)],
    actions: changes,
    hint: 'Enter executes the selected line, Esc goes back',
    help: { title: 'System', text: SYSTEM_HELP },
  };
});

function slotTexts(view: ApplianceLook | null): string[] {
  if (view === null || view.slots === null) return [`Version ${view?.version ?? '-'}`, 'The slots are not known at the moment'];
  const { running, isTrial, choice, systems } = view.slots;
  const other = otherSlot(running);
  return [
    `Slot ${running.toUpperCase()} runs:  version ${systems[running]?.version ?? '-'}${isTrial ? ', on trial' : ''}`,
    `Slot ${other.toUpperCase()} waits: ${systems[other] === null ? 'empty' : `version ${systems[other].version}`}`,
    `Next boot:    slot ${(choice.once ?? choice.good).toUpperCase()}${choice.once === null ? '' : ', on trial'}`,
    ...(view.isRestoreWaiting ? ['A restored configuration waits for the next boot'] : []),
  ];
}

const LINES: readonly (ApplianceChoice & { readonly detail: (view: ApplianceLook) => string })[] = [
  {
    label: 'Network',
    command: open(NETWORK_PAGE),
    detail: ({ devices }) => devices.flatMap((one) => one.addresses).join(', ') || 'no address',
  },
  { label: 'Time', command: CHANGE_TIME, detail: ({ settings }) => settings.zone },
  {
    label: 'Password',
    command: CHANGE_PASSWORD,
    detail: ({ settings }) => (settings.passwordHash === null ? 'none: no login over the network' : 'set: login over the network (SSH)'),
  },
  {
    label: 'Server',
    command: MAKE_SERVER,
    detail: ({ server }) => (server === null ? 'not set up yet' : `${server}; more with Esc, Server`),
  },
  {
    label: 'Disks',
    command: open(DISKS_PAGE),
    detail: ({ storage }) => `${plural(storage.disks.length, 'disk')}, ${plural(storage.arrays.length, 'array')}`,
  },
  { label: 'System', command: open(SYSTEM_PAGE), detail: ({ version }) => `version ${version}; upgrade, way back, configuration` },
  { label: 'Restart', command: RESTART, detail: () => '' },
  { label: 'Power off', command: POWER_OFF, detail: () => '' },
];

export const APPLIANCE_MENU: AppliancePage = pageOf<ApplianceState>('menu', ({ view, failure }) => ({
  title: `RSIO appliance ${view?.settings.hostname ?? ''}`.trim(),
  rows: [
    ...(failure === null ? [] : [problemRow(`! ${failureText(failure)}`)]),
    ...menuRows(LINES.map((line) => ({ ...line, detail: view === null ? '' : line.detail(view) }))),
    EMPTY_ROW,
    ...(view?.problems ?? []).map((one) => problemRow(`! ${one}`)),
  ],
  actions: null,
  hint: nextStep(view),
  help: { title: 'crsio on an appliance', text: APPLIANCE_HELP },
}));

function nextStep(view: ApplianceLook | null): string {
  if (view === null) return 'Looking at the machine ...';
  if (view.devices.every(({ addresses }) => addresses.length === 0)) return 'First give an interface an address: Network';
  if (view.server === null) return 'Now set up the server: Server';
  if (view.settings.pools.length === 0) return 'Now make a pool from disks: Disks, New pool';
  return 'Clients and volumes: Esc, then Server';
}
