// Defines the types of configuration values. Each type has a parser and a text that says what is allowed. If a value is wrong, the parser
// throws E_USAGE, and `context.allowed` says what is allowed. Errors never show a secret.

import { PORT_MAX } from '@rsio/base/lib/limits';
import {
  AOE_SLOT_MAX,
  GATE_ADDRESSES_MAX,
  GATE_HOSTS_MAX,
  KEY_MAX_CHARS,
  NQN_MAX_CHARS,
  PATH_MAX_BYTES,
  PEER_ADDRESSES_MAX,
  STORAGE_STAMP_MAX_CHARS,
} from './limits.ts';
import {
  DURATION_ALLOWED,
  type Endpoint,
  isName,
  NAME_ALLOWED,
  PREFIX_ALLOWED,
  type PrefixedAddress,
  parseAddress,
  parseDuration,
  parseEndpoint,
  parseName,
  parsePrefixedAddress,
  parseSize,
  parseWhole,
  printDuration,
  printEndpoint,
  printSize,
  refuse,
  SIZE_ALLOWED,
} from '@rsio/base/lib/units';
import { isSingleHost } from '@rsio/base/lib/subnet';
import { parseVolumeName } from '@rsio/base/lib/volume-name';

export type StallPolicy = number | 'forever' | 'fail';
export type AttachChoice = 'none' | 'all' | readonly string[];

/** The disk of a shared pool: an image of Ceph RBD, or a device that several servers reach. */
export type DiskConfig =
  | { readonly kind: 'rbd'; readonly pool: string; readonly image: string }
  | { readonly kind: 'device'; readonly path: string };

/** `none`: there are no take-overs by force. `command`: `program`, with `words` as its first arguments, ends an earlier owner. */
export type FenceConfig =
  | { readonly kind: 'rbd' | 'reservation' | 'none' }
  | { readonly kind: 'command'; readonly program: string; readonly words: readonly string[] };

/** An address and a port of this machine. */
export interface EndpointConfig {
  readonly address: string;
  readonly port: number;
}

export interface ValueType<T> {
  readonly kind: string;
  /** The text completes a sentence that begins with "allowed is". */
  readonly allowed: string;
  readonly isSecret: boolean;
  /** The part of the text that is no secret; absent: all of it, unless isSecret. */
  openPart?(text: string): string;
  /** All allowed words, so that crsio can offer them; absent if other values are allowed too. */
  readonly words?: readonly string[];
  parse(text: string): T;
  /** The value as the file has it; absent if String() gives it. */
  print?(value: T): string;
}

/** Prints a value in the notation of the file; `-`: it is not set. */
export function printValue<T>(type: ValueType<T>, value: T | null): string {
  if (value === null && type.print === undefined) return '-';
  if (type.print !== undefined) return type.print(value as T);
  return Array.isArray(value) ? value.join(', ') : String(value);
}

export function integer(min: number, max: number): ValueType<number> {
  const allowed = `a whole number from ${min} to ${max}`;
  return plain('integer', allowed, (text) => {
    const value = parseWhole(text);
    return value === undefined || value < min || value > max ? refuse('number', text, allowed) : value;
  });
}

export const port = integer(1, PORT_MAX);

export function size(minBytes: number, maxBytes: number): ValueType<number> {
  const allowed = `a size from ${printSize(minBytes)} to ${printSize(maxBytes)}: ${SIZE_ALLOWED}`;
  return plain(
    'size',
    allowed,
    (text) => {
      const sizeBytes = parseSize(text);
      return sizeBytes < minBytes || sizeBytes > maxBytes ? refuse('size', text, allowed) : sizeBytes;
    },
    orDash(printSize),
  );
}

export function duration(minMs: number, maxMs: number): ValueType<number> {
  const allowed = `a time from ${printDuration(minMs)} to ${printDuration(maxMs)}: ${DURATION_ALLOWED}`;
  return plain(
    'duration',
    allowed,
    (text) => {
      const durationMs = parseDuration(text);
      return durationMs < minMs || durationMs > maxMs ? refuse('duration', text, allowed) : durationMs;
    },
    orDash(printDuration),
  );
}

export function microseconds(maxUs: number): ValueType<number> {
  const allowed = `a time from 1us to ${maxUs}us: a whole number with us`;
  return plain(
    'duration',
    allowed,
    (text) => {
      const timeUs = text.endsWith('us') ? parseWhole(text.slice(0, -2)) : undefined;
      return timeUs === undefined || timeUs < 1 || timeUs > maxUs ? refuse('duration', text, allowed) : timeUs;
    },
    orDash((timeUs) => `${timeUs}us`),
  );
}

/** A duration, or one of the words `forever` and `fail`. */
export function stall(minMs: number, maxMs: number): ValueType<StallPolicy> {
  const wait = duration(minMs, maxMs);
  const allowed = `forever, fail, or ${wait.allowed}`;
  return plain(
    'stall',
    allowed,
    (text) => {
      if (text === 'forever' || text === 'fail') return text;
      return orElse(() => wait.parse(text), text, allowed);
    },
    orDash((value) => (typeof value === 'number' ? printDuration(value) : value)),
  );
}

/** A value of another type, or the word `off`, which yields null. */
export function orOff<T>(type: ValueType<T>): ValueType<T | null> {
  const allowed = `off, or ${type.allowed}`;
  return plain(
    type.kind,
    allowed,
    (text) => (text === 'off' ? null : orElse(() => type.parse(text), text, allowed)),
    (value) => (value === null ? 'off' : printValue(type, value)),
  );
}

/** A value of another type, or the word `never`, which yields null. */
export function orNever<T>(type: ValueType<T>): ValueType<T | null> {
  const allowed = `never, or ${type.allowed}`;
  return plain(
    type.kind,
    allowed,
    (text) => (text === 'never' ? null : orElse(() => type.parse(text), text, allowed)),
    (value) => (value === null ? 'never' : printValue(type, value)),
  );
}

/** A value of another type, or the word `auto`. */
export function orAuto<T>(type: ValueType<T>): ValueType<T | 'auto'> {
  const allowed = `auto, or ${type.allowed}`;
  return plain(
    type.kind,
    allowed,
    (text) => (text === 'auto' ? text : orElse(() => type.parse(text), text, allowed)),
    (value) => (value === 'auto' || value === null ? String(value ?? '-') : printValue(type, value as T)),
  );
}

/** A word from `table`, which contains the value of each word. */
export function words<const T extends Readonly<Record<string, unknown>>>(kind: string, table: T): ValueType<T[keyof T]> {
  const all = Object.keys(table);
  const allowed = orList(all);
  const parse = (text: string): T[keyof T] => {
    // An inherited property such as `constructor` is not an allowed word.
    if (!Object.hasOwn(table, text)) refuse('word', text, allowed);
    return table[text as keyof T];
  };
  const print = orDash((value: T[keyof T]) => all.find((word) => table[word] === value) ?? String(value));
  return { ...plain(kind, allowed, parse, print), words: all };
}

/** One of the given words; the word itself is the value. */
export function choice<const W extends string>(...allowedWords: readonly W[]): ValueType<W> {
  const allowed = orList(allowedWords);
  const parse = (text: string): W => allowedWords.find((word) => word === text) ?? refuse('word', text, allowed);
  return { ...plain('enum', allowed, parse), words: allowedWords };
}

/** A share in percent. The value is from 0 to 1. */
export function percent(max: number): ValueType<number> {
  const allowed = `a whole number of percent from 0% to ${max}%`;
  return plain('percent', allowed, (text) => {
    const value = text.endsWith('%') ? parseWhole(text.slice(0, -1)) : undefined;
    return value === undefined || value > max ? refuse('share', text, allowed) : value / 100;
  });
}

export const yesNo: ValueType<boolean> = words('boolean', { yes: true, no: false });
export const offOn: ValueType<boolean> = words('boolean', { off: false, on: true });

/** A text that another reader examines. */
export const filledText: ValueType<string> = plain('text', 'a text of one line', (text) =>
  text === '' ? refuse('text', text, filledText.allowed) : text,
);

export const name: ValueType<string> = plain('name', NAME_ALLOWED, (text) => parseName(text));

const HOST_ADDRESS_ALLOWED = 'the IPv4 address or the IPv6 address (no zone) of a single host';
const HOST_PREFIXED_ALLOWED = `${HOST_ADDRESS_ALLOWED}, ${PREFIX_ALLOWED}`;

/** Address to which a client connects. The address must belong to a single host. */
export const address: ValueType<string> = plain('address', HOST_ADDRESS_ALLOWED, (text) => {
  const parsed = orElse(() => parseAddress(text), text, address.allowed);
  return isSingleHost(parsed) ? parsed : refuse('address', text, address.allowed);
});

/** Address of an interface of this machine. An optional prefix length overrides the prefix length that the machine reports. */
export const interfaceAddress: ValueType<PrefixedAddress> = plain('address', HOST_PREFIXED_ALLOWED, (text) => {
  const parsed = orElse(() => parsePrefixedAddress(text), text, interfaceAddress.allowed);
  return isSingleHost(parsed.address) ? parsed : refuse('address', text, interfaceAddress.allowed);
});

const ENDPOINT_ALLOWED = 'off, or an address of this machine and a port, such as 127.0.0.1:9510 or [::1]:9510';

/** Address and port on which a daemon listens, or `off`, which yields null. */
export const endpoint: ValueType<EndpointConfig | null> = plain('endpoint', ENDPOINT_ALLOWED, (text) => {
  if (text === 'off') return null;
  const [, host = '', digits = ''] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  const isBracketed = host.startsWith('[');
  const found = orElse(() => parseAddress(host), text, ENDPOINT_ALLOWED);
  // Without brackets, the end of an IPv6 address could be mistaken for a port.
  const isUsable = isBracketed === found.includes(':') && Number(digits) >= 1 && Number(digits) <= PORT_MAX;
  return isUsable ? { address: found, port: Number(digits) } : refuse('address and port', text, ENDPOINT_ALLOWED);
});

const KEY_TEXT = new RegExp(`^[\\x21-\\x7e]{1,${KEY_MAX_CHARS}}$`);

export function isKeyText(text: string): boolean {
  return KEY_TEXT.test(text);
}

export const keyText: ValueType<string> = {
  kind: 'key',
  allowed: `1 to ${KEY_MAX_CHARS} printable ASCII characters without white space`,
  isSecret: true,
  parse: (text) => (isKeyText(text) ? text : refuse('key', null, keyText.allowed)),
};

export const path: ValueType<string> = plain('path', `an absolute path of at most ${PATH_MAX_BYTES} bytes`, (text) => {
  const usable = text.startsWith('/') && !text.includes('\0') && Buffer.byteLength(text) <= PATH_MAX_BYTES;
  return usable ? text : refuse('path', text, path.allowed);
});

/** The disk of a shared pool. */
export const disk: ValueType<DiskConfig> = plain('disk', 'rbd:POOL/IMAGE, or the absolute path of a device', (text) => {
  const [, pool, image] = /^rbd:([A-Za-z0-9._-]{1,64})\/([A-Za-z0-9._-]{1,64})$/.exec(text) ?? [];
  if (pool !== undefined && image !== undefined) return { kind: 'rbd', pool, image };
  return { kind: 'device', path: orElse(() => path.parse(text), text, disk.allowed) };
});

/** How a server makes sure that an earlier owner of a shared pool can no longer write. The words of a program may be a password. */
export const fence: ValueType<FenceConfig> = {
  ...plain<FenceConfig>('fence', 'rbd, reservation, none, or command: and the absolute path of a program', (text) => {
    if (text === 'rbd' || text === 'reservation' || text === 'none') return { kind: text };
    const command = text.startsWith('command:') ? text.slice('command:'.length).trim() : '';
    const [program = '', ...words] = command.split(/\s+/);
    return { kind: 'command', program: orElse(() => path.parse(program), text, fence.allowed), words };
  }),
  openPart: (text) => /^(?:command:)?\s*\S*/.exec(text)?.[0] ?? '',
};

export const serverNames: ValueType<readonly string[]> = plain('names', 'names of servers, separated by commas or spaces', (text) =>
  parseNames(text, serverNames.allowed),
);

export const spareNames: ValueType<readonly string[]> = plain(
  'names',
  'none, or names of servers, separated by commas or spaces',
  (text) => (text === 'none' ? [] : serverNames.parse(text)),
);

export const uuid: ValueType<string> = plain('uuid', 'a UUID such as 2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21', (text) => {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : refuse('UUID', text, uuid.allowed);
});

/** Mark of a file or device. */
export const stamp: ValueType<string> = plain('mark', 'a mark from the log of rssrv, such as i131074.b1795257182000000000', (text) => {
  return text.length <= STORAGE_STAMP_MAX_CHARS && /^[\w.:@/+-]+$/.test(text) ? text : refuse('mark', text, stamp.allowed);
});

/** Names of clients; null means all clients. */
export const clientNames: ValueType<readonly string[] | null> = plain('names', 'all, or names separated by commas or spaces', (text) => {
  return text === 'all' ? null : parseNames(text, clientNames.allowed);
});

/** Names of pools; null means all pools. */
export const poolNames: ValueType<readonly string[] | null> = plain(
  'names',
  'all, or names of pools, separated by commas or spaces',
  (text) => {
    return text === 'all' ? null : parseNames(text, poolNames.allowed);
  },
);

/** Clients that have a permission; null means all clients, and an empty list means none. */
export const mayChoice: ValueType<readonly string[] | null> = plain('names', 'yes, no, or names separated by commas or spaces', (text) => {
  if (text === 'yes') return null;
  return text === 'no' ? [] : parseNames(text, mayChoice.allowed);
});

export const attachChoice: ValueType<AttachChoice> = plain(
  'names',
  'none, all, or volume names (NAME or NAME@UNIVERSE) separated by commas or spaces',
  (text) => {
    return text === 'none' || text === 'all' ? text : parseNames(text, attachChoice.allowed, withoutUniverse);
  },
);

/** Volumes and snapshots by name, or all volumes. */
export const volumeNames: ValueType<'all' | readonly string[]> = plain(
  'names',
  'all, or names of volumes (NAME or NAME@UNIVERSE) and snapshots (with @SNAPSHOT) separated by commas or spaces',
  (text) => (text === 'all' ? text : parseNames(text, volumeNames.allowed, volumePart)),
);

/** Addresses at which a gate listens. The default port depends on the protocol. */
export const gateAddresses = endpoints(
  GATE_ADDRESSES_MAX,
  `1 to ${GATE_ADDRESSES_MAX} addresses of this machine, separated by commas, such as 192.168.1.5 or [fd00::5]:4420`,
);

/** Addresses of another server. */
export const peerAddresses = endpoints(
  PEER_ADDRESSES_MAX,
  `1 to ${PEER_ADDRESSES_MAX} addresses of one server, separated by commas, such as 192.168.1.5 or [fd00::5]:5000`,
);

/** Different addresses of single hosts, each with a port or null. */
function endpoints(max: number, allowed: string): ValueType<readonly Endpoint[]> {
  return plain('endpoints', allowed, (text) => {
    const found = text.split(/\s*,\s*/).map((one) => orElse(() => parseEndpoint(one), text, allowed));
    const usable = found.length <= max && found.every(({ address: one }) => isSingleHost(one));
    const all = found.map(({ address: one, port: own }) => ({ address: one, port: own }));
    const isTwice = new Set(all.map((one) => printEndpoint(one.address, one.port))).size < all.length;
    return usable && !isTwice ? all : refuse('addresses', text, allowed);
  });
}

const NQN = /^nqn\.\d{4}-\d{2}\.[A-Za-z0-9.-]+(?::[\x21-\x2b\x2d-\x7e]+)?$/;
/** Every gate has a subsystem with this name, which lists the other subsystems. */
const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery';
/** Name of an NVMe subsystem. */
export const nqn: ValueType<string> = plain(
  'nqn',
  `an NQN of at most ${NQN_MAX_CHARS} characters, such as nqn.2026-01.com.example:gate`,
  (text) => (isNqn(text) && text !== DISCOVERY_NQN ? text : refuse('NQN', text, nqn.allowed)),
);

export function isNqn(text: string): boolean {
  return NQN.test(text) && text.length <= NQN_MAX_CHARS;
}

const IQN = /^(?:iqn\.\d{4}-\d{2}\.[a-z0-9][a-z0-9.-]*(?::[a-z0-9.:_-]+)?|eui\.[0-9a-f]{16}|naa\.[0-9a-f]{16}(?:[0-9a-f]{16})?)$/;
/** Name of an iSCSI target. */
export const iqn: ValueType<string> = plain(
  'iqn',
  `an IQN of at most ${NQN_MAX_CHARS} characters, such as iqn.2026-01.com.example:gate`,
  (text) => (isIqn(text.toLowerCase()) ? text.toLowerCase() : refuse('IQN', text, iqn.allowed)),
);

/** True for the name of an iSCSI initiator or target, in lower case. */
export function isIqn(text: string): boolean {
  return IQN.test(text) && text.length <= NQN_MAX_CHARS;
}

const HOSTS_ALLOWED = `all, or 1 to ${GATE_HOSTS_MAX} NQNs of hosts (as /etc/nvme/hostnqn has them), or IQNs for iSCSI, or MAC addresses for AoE, separated by commas or spaces`;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;

/** True for the MAC address of one network card, in lower case. */
export function isMac(text: string): boolean {
  // The lowest bit of the first octet is 1 in the address of a group of cards.
  return MAC.test(text) && (Number.parseInt(text.slice(0, 2), 16) & 1) === 0;
}

/** Hosts that may log in to a gate; `all` yields null. */
export const gateHosts: ValueType<readonly string[] | null> = plain('names', HOSTS_ALLOWED, (text) => {
  if (text === 'all') return null;
  const given = text.split(/\s*,\s*|\s+/);
  const names = [...new Set(given.map((one) => (isMac(one.toLowerCase()) || isIqn(one.toLowerCase()) ? one.toLowerCase() : one)))];
  const usable = names.length <= GATE_HOSTS_MAX && (names.every(isNqn) || names.every(isIqn) || names.every(isMac));
  return usable ? names : refuse('list of hosts', text, HOSTS_ALLOWED);
});

const INTERFACE_NAME = /^(?!\.{1,2}$)[!-.0-9;-~]{1,15}$/;
/** Name of a network interface, as the kernel allows it. */
export const interfaceName: ValueType<string> = plain(
  'interface',
  'the name of a network interface of this machine, such as eth1',
  (text) => (INTERFACE_NAME.test(text) ? text : refuse('interface', text, interfaceName.allowed)),
);

const SLOTS_ALLOWED = `NAME=SLOT,... with names of volumes and different slots from 0 to ${AOE_SLOT_MAX}, such as debian@1=0,data=3`;

export const aoeSlots: ValueType<ReadonlyMap<string, number>> = plain('slots', SLOTS_ALLOWED, (text) => {
  const pairs = text.split(/\s*,\s*|\s+/).map((one): [string, number] => {
    const [, name = '', slot = ''] = /^(.+)=(\d{1,3})$/.exec(one) ?? [];
    return isName(volumePart(name)) && Number(slot) <= AOE_SLOT_MAX ? [name, Number(slot)] : refuse('slot', text, SLOTS_ALLOWED);
  });
  const isTwice = [pairs.map(([name]) => name), pairs.map(([, slot]) => slot)].some((all) => new Set<unknown>(all).size < all.length);
  return isTwice ? refuse('slots', text, SLOTS_ALLOWED) : new Map(pairs);
});

function withoutUniverse(name: string): string {
  return name.replace(/@[0-3]$/, '');
}

/** Returns the volume's part of a name of a volume or snapshot; the text itself if it is not such a name or has a namespace. */
function volumePart(name: string): string {
  const parsed = parseVolumeName(name);
  return parsed === null || parsed.namespace !== null ? name : parsed.volume;
}

/** `named`: the name in an entry of the list. */
function parseNames(text: string, allowed: string, named = (entry: string): string => entry): readonly string[] {
  const names = text.split(/\s*,\s*|\s+/);
  const usable = names.every((each) => isName(named(each)));
  return usable ? [...new Set(names)] : refuse('list of names', text, allowed);
}

function plain<T>(kind: string, allowed: string, parse: (text: string) => T, print?: (value: T) => string): ValueType<T> {
  return { kind, allowed, isSecret: false, parse, ...(print === undefined ? {} : { print }) };
}

/** A key that is not set has the value null. */
function orDash<T>(print: (value: T) => string): (value: T) => string {
  return (value) => (value === null ? '-' : print(value));
}

/** Calls `parse`. If `parse` fails, throws an error that contains the text `allowed`. */
function orElse<T>(parse: () => T, text: string, allowed: string): T {
  try {
    return parse();
  } catch {
    return refuse('value', text, allowed);
  }
}

function orList(all: readonly string[]): string {
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`;
}
