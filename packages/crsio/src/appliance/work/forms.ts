// The forms of the appliance, and the changes that they become. Pure. Invariant: before a disk is overwritten, a question names it by model,
// serial and size.

import { arrayDisks, type DiskArray, diskText, LEVELS, type Level, overwriteText } from '@rsio/appliance/disks';
import { replacementIn, usableDisk } from '@rsio/appliance/disks';
import type { NetworkDevice } from '@rsio/appliance/look';
import { isAddress, isCidr, isHostName, isPoolName, isZone } from '@rsio/appliance/settings';
import { choice, name, type ValueType } from '@rsio/common/config/schema/value-types';
import { RsError } from '@rsio/base/lib/errors';
import { refuse } from '@rsio/base/lib/units';
import { entryOf, formOf, type Offer, fillField, formText } from '../../machine/form.ts';
import { withForm } from '../../machine/form-page.ts';
import { type Popup, step, topOf, withPopup } from '../../machine/machine.ts';
import type { ApplianceCommand, ApplianceState, MediaFile } from '../model/state.ts';
import { type FormOrder, orderForm } from './ordering.ts';

function kindOf(kind: string, allowed: string, isValid: (text: string) => boolean, isSecret = false): ValueType<string> {
  return { kind, allowed, isSecret, parse: (text) => (isValid(text) ? text : refuse(kind, isSecret ? null : text, allowed)) };
}

function listOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((one) => one !== '');
}

const every = (isValid: (text: string) => boolean) => (text: string) => listOf(text).every(isValid);
const HOST = kindOf('host name', 'letters, digits, - and dots', isHostName);
const CIDRS = kindOf('addresses', 'addresses with the length of the network, such as 192.168.45.10/24', every(isCidr));
const ADDRESS = kindOf('address', 'an address, such as 192.168.45.1', isAddress);
const ADDRESSES = kindOf('addresses', 'addresses, separated by commas', every(isAddress));
const SERVERS = kindOf(
  'servers',
  'names or addresses, separated by commas',
  every((one) => isHostName(one) || isAddress(one)),
);
const ZONE = kindOf('zone', 'a time zone, such as Europe/Oslo', isZone);
const PASSWORD = kindOf('password', 'at least 8 characters', (text) => text.length >= 8, true);
const POOL = kindOf('pool', 'at most 32 letters, digits, _ . -', isPoolName);
const DISKS = kindOf('disks', 'names of disks, separated by commas', (text) => listOf(text).length > 0);
const DISK = kindOf('disk', 'the name of a disk', (text) => listOf(text).length === 1);
const ARRAY = kindOf('array', 'the name of the array', (text) => text !== '');
const FILE = kindOf('file', 'the name of a file on the disk', (text) => !text.split('/').includes('..'));
const ERASE_HELP = 'Type the name of each disk again; everything on it is lost';

export function changeInterface({ name: device, mac }: NetworkDevice): ApplianceCommand {
  return orderForm(
    ({ view }) => {
      const own = view?.settings.interfaces.find((one) => one.mac === mac);
      return formOf(`Interface ${device}`, [
        { key: 'host', entry: entryOf(HOST, 'Name of this machine', true), text: view?.settings.hostname ?? '' },
        { key: 'addresses', entry: entryOf(CIDRS, 'Addresses of this interface', false, 'DHCP'), text: own?.addresses.join(', ') ?? '' },
        { key: 'gateway', entry: entryOf(ADDRESS, 'The router to other networks', false, 'none'), text: own?.gateway ?? '' },
        { key: 'dns', entry: entryOf(ADDRESSES, 'Name servers', false, 'by DHCP'), text: view?.settings.dns.join(', ') ?? '' },
      ]);
    },
    (text) => {
      const wanted = { mac, addresses: listOf(text('addresses')), gateway: text('gateway') || null };
      return {
        question: null,
        doing: `Configuring ${device}`,
        make: (ports) => ports.setInterface(wanted, listOf(text('dns')), text('host')),
        done: () => `${device} ${wanted.addresses.length === 0 ? 'uses DHCP' : `has ${wanted.addresses.join(', ')}`}`,
      };
    },
  );
}

export const CHANGE_TIME = orderForm(
  ({ view, ports }) => {
    const settings = view?.settings;
    return formOf('Time', [
      { key: 'zone', entry: entryOf(ZONE, 'Time zone of this machine', true), text: settings?.zone ?? '', offers: offersOf(ports.zones()) },
      { key: 'ntp', entry: entryOf(SERVERS, 'Servers that tell the time', false, 'those of Debian'), text: settings?.ntp.join(', ') ?? '' },
    ]);
  },
  (text) => ({
    question: null,
    doing: 'Setting the time',
    make: (ports) => ports.setTime(text('zone'), listOf(text('ntp'))),
    done: () => `The time zone is ${text('zone')}`,
  }),
);

export const CHANGE_PASSWORD = orderForm(
  () =>
    formOf('Password of root', [
      { key: 'password', entry: entryOf(PASSWORD, 'Empty: no password, and no login over the network', false, 'none') },
      { key: 'again', entry: entryOf(PASSWORD, 'The same password', false, 'none') },
    ]),
  (text) => {
    const password = text('password');
    if (password !== text('again')) throw new RsError('E_USAGE', 'The two passwords differ: type the same one twice');
    return {
      question: password === '' ? 'Without a password, consoles need no login, and nobody can log in over the network' : null,
      doing: 'Setting the password',
      make: (ports) => ports.setPassword(password),
      done: () =>
        password === '' ? 'No password: no login over the network' : 'The password is set: root can log in over the network (SSH)',
    };
  },
);

export const MAKE_SERVER = orderForm(
  ({ view }) => {
    const addresses = (view?.devices ?? []).flatMap((one) => one.addresses).map((one) => one.replace(/\/.*/, ''));
    return formOf('Server', [
      { key: 'name', entry: entryOf(name, 'Name of this server', true), text: view?.settings.hostname.replace(/\..*/, '') ?? '' },
      { key: 'namespace', entry: entryOf(name, 'The same name for all servers that belong together, such as osl', true) },
      { key: 'addresses', entry: entryOf(ADDRESSES, 'Addresses of this machine for clients', true), text: addresses.join(', ') },
    ]);
  },
  (text) => {
    const server = { name: text('name'), namespace: text('namespace'), addresses: listOf(text('addresses')) };
    return {
      question: null,
      doing: 'Setting up the server',
      make: (ports) => ports.makeServer(server),
      done: () => `Server ${server.name} runs in namespace ${server.namespace}. Next: Disks`,
    };
  },
);

function offersOf(texts: readonly string[]): readonly Offer[] {
  return texts.map((text) => ({ text, detail: '' }));
}

/** Names of the disks that may be used, with what they are. */
function diskOffers(state: ApplianceState): readonly Offer[] {
  const disks = state.view?.storage.disks.filter(({ use }) => use.kind === 'content') ?? [];
  return disks.map((disk) => ({
    text: disk.name,
    detail: `${diskText(disk).slice(disk.name.length + 2)}${disk.use.what === undefined ? '' : `, has ${disk.use.what}`}`,
  }));
}

/** Opens a list in which the space bar marks disks for the field `disks`. */
const chooseDisks: ApplianceCommand = (state) => {
  const offers = diskOffers(state);
  const top = topOf(state);
  const marked = new Set(top.kind === 'form' ? listOf(formText(top.form, 'disks')) : []);
  return step(offers.length === 0 ? state : withPopup(state, diskMarks(offers, marked, 0)));
};

function diskMarks(offers: readonly Offer[], marked: ReadonlySet<string>, focus: number): Popup<ApplianceCommand> {
  const take: ApplianceCommand = (now) => step(withForm(now, (form) => fillField(form, 'disks', [...marked].join(', '))));
  return {
    title: 'Disks',
    text: 'Space marks a disk, Enter takes the marked ones',
    focus,
    choices: offers.map(({ text, detail }) => ({ label: `[${marked.has(text) ? 'x' : ' '}] ${text}  ${detail}`, command: take })),
    mark: (index) => diskMarks(offers, toggled(marked, offers[index]?.text ?? ''), index),
  };
}

function toggled(marked: ReadonlySet<string>, name: string): ReadonlySet<string> {
  return marked.has(name) ? new Set([...marked].filter((one) => one !== name)) : new Set([...marked, name]);
}

function viewOf({ view }: ApplianceState): NonNullable<ApplianceState['view']> {
  if (view === null) throw new RsError('E_BUSY', 'The disks are not known yet: try again');
  return view;
}

export const ADD_POOL = orderForm(
  () =>
    formOf('New pool', [
      { key: 'name', entry: entryOf(POOL, 'Name of the pool and of its array', true) },
      { key: 'level', entry: entryOf(choice(...(Object.keys(LEVELS) as Level[])), 'How the disks secure the data', false, 'raid1') },
      { key: 'disks', entry: entryOf(DISKS, 'Whole disks; F4 lists them', true) },
      { key: 'erase', entry: entryOf(DISKS, ERASE_HELP, true) },
    ]),
  (text, state) => {
    const level = (Object.keys(LEVELS) as Level[]).find((one) => one === text('level')) ?? 'raid1';
    const wanted = { name: text('name'), level, disks: listOf(text('disks')), typed: listOf(text('erase')) };
    const view = viewOf(state);
    if (view.server === null) throw new RsError('E_NOT_RUNNING', 'rssrv is not set up yet: do Server in the menu first');
    const question = overwriteText(arrayDisks(view.storage, wanted));
    return {
      question,
      doing: `Making pool ${wanted.name}`,
      make: (ports) => ports.makePool(wanted, question),
      done: () => `Pool ${wanted.name} is ready. Its array copies in the background. Next: Esc, Server, and add clients`,
    };
  },
  { disks: chooseDisks },
);

export function replaceMember({ name: array, device, members }: DiskArray): ApplianceCommand {
  return orderForm(
    (state) => {
      const offers = members.map(({ disk, isFaulty }) => ({ text: disk, detail: isFaulty ? 'failed' : 'works' }));
      return formOf(`Replace a disk of ${array}`, [
        { key: 'old', entry: entryOf(DISK, 'The disk to replace', false, 'the failed or missing one'), offers },
        { key: 'new', entry: entryOf(DISK, 'The disk that takes its place', true), offers: diskOffers(state) },
        { key: 'erase', entry: entryOf(DISK, ERASE_HELP, true) },
      ]);
    },
    (text, state) => {
      const wanted = { array: device, old: text('old') || null, by: text('new'), typed: listOf(text('erase')) };
      const question = overwriteText([replacementIn(viewOf(state).storage, wanted).disk]);
      return {
        question,
        doing: `Replacing a disk of ${array}`,
        make: (ports) => ports.replaceDisk(wanted, question),
        done: () => `${wanted.by} is in array ${array}, and gets the data in the background`,
      };
    },
  );
}

export function removeForm({ name: array, device }: DiskArray): ApplianceCommand {
  return orderForm(
    () =>
      formOf(`Remove array ${array}`, [
        { key: 'array', entry: entryOf(ARRAY, `Type the name of the array, or ${device}; all its volumes are lost`, true) },
      ]),
    (text) => ({
      question: `All data of array ${array} is lost. Its disks can then be used again`,
      doing: `Removing array ${array}`,
      make: (ports) => ports.removeArray(device, text('array')),
      done: () => `Array ${array} is removed, and its disks can be used again`,
    }),
  );
}

export function eraseForm(disk: string): ApplianceCommand {
  return orderForm(
    () =>
      formOf(`Erase disk ${disk}`, [{ key: 'erase', entry: entryOf(DISK, 'Type the name of the disk; everything on it is lost', true) }]),
    (text, state) => {
      const typed = listOf(text('erase'));
      const question = overwriteText([usableDisk(viewOf(state).storage, disk, typed)]);
      return {
        question,
        doing: `Erasing ${disk}`,
        make: (ports) => ports.eraseDisk(disk, typed, question),
        done: () => `${disk} is erased`,
      };
    },
  );
}

function mediaForm(title: string, preset: string, toOrder: (at: MediaFile) => FormOrder): ApplianceCommand {
  return orderForm(
    ({ view }) => {
      const media = view?.storage.media ?? [];
      return formOf(title, [
        { key: 'disk', entry: entryOf(DISK, 'Removable disk or partition', true), text: media[0] ?? '', offers: offersOf(media) },
        { key: 'file', entry: entryOf(FILE, 'Name of the file on it', true), text: preset },
      ]);
    },
    (text) => toOrder({ disk: text('disk'), file: text('file') }),
  );
}

export const SAVE_CONFIG = mediaForm('Save the configuration', 'rsio-config.json', (at) => ({
  question: null,
  doing: 'Saving the configuration',
  make: (ports) => ports.save(at),
  done: () => `The configuration is in ${at.file} on ${at.disk}. It has keys: keep it secret`,
}));

export const RESTORE_CONFIG = mediaForm('Restore a configuration', 'rsio-config.json', (at) => ({
  question: 'The configuration of this machine is replaced at the next boot: network, password, pools and clients',
  doing: 'Restoring',
  make: (ports) => ports.restore(at),
  done: () => 'The configuration is accepted. The restart makes it effective',
}));

export const UPGRADE = mediaForm('Upgrade', '', (at) => ({
  question: null,
  doing: 'Upgrading',
  make: (ports) => ports.upgrade(at),
  done: (version) => `Version ${version} is in the other slot. The restart tries it`,
}));
