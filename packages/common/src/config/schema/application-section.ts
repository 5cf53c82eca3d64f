// Defines the keys of the section [application NAME] of rscltcfg, with the types of their values. reader/applications.ts reads this section
// and checks combinations of keys; rsapp runs the applications.

import { isName, parseName, type PrefixedAddress, parsePrefixedAddress, printDuration, refuse } from '@rsio/base/lib/units';
import { isSingleHost } from '@rsio/base/lib/subnet';
import { needed, optional, withDefault } from './entries.ts';
import {
  APPLICATION_CHECK_EVERY_MS,
  APPLICATION_CHECK_MS,
  APPLICATION_MOUNTS_MAX,
  APPLICATION_NODES_MAX,
  APPLICATION_RESTARTS,
  APPLICATION_RESTARTS_MAX,
  APPLICATION_SILENT_MAX_MS,
  APPLICATION_SILENT_MIN_MS,
  APPLICATION_SILENT_MS,
  APPLICATION_START_DELAY_MIN_MS,
  APPLICATION_START_DELAY_MS,
  APPLICATION_START_MS,
  APPLICATION_STOP_MS,
  APPLICATION_TIME_MAX_MS,
  APPLICATION_TIME_MIN_MS,
  APPLICATION_VOLUMES_MAX,
  PATH_MAX_BYTES,
} from './limits.ts';
import * as types from './value-types.ts';

/** `volume`: as in `volumes`; null: the first one. */
export interface ApplicationMount {
  readonly volume: string | null;
  readonly path: string;
}

const time = types.duration(APPLICATION_TIME_MIN_MS, APPLICATION_TIME_MAX_MS);

function listed(allowed: string, max: number, isRight: (word: string) => boolean): types.ValueType<readonly string[]> {
  return {
    kind: 'names',
    allowed,
    isSecret: false,
    parse: (text) => {
      const words = text.split(/\s*,\s*|\s+/);
      const isGood = words.length <= max && words.every(isRight) && new Set(words).size === words.length;
      return isGood ? words : refuse('list of names', text, allowed);
    },
  };
}

const volumes = listed(
  `1 to ${APPLICATION_VOLUMES_MAX} different volumes (NAME, NAMESPACE:NAME or NAME@UNIVERSE), separated by commas or spaces`,
  APPLICATION_VOLUMES_MAX,
  (word) =>
    /^(?:[^:@]+:)?[^:@]+(?:@[0-3])?$/.test(word) &&
    word
      .replace(/@[0-3]$/, '')
      .split(':')
      .every(isName),
);
const nodes = listed(
  `1 to ${APPLICATION_NODES_MAX} different names of nodes, separated by commas or spaces`,
  APPLICATION_NODES_MAX,
  isName,
);

const MOUNTS_ALLOWED = `1 to ${APPLICATION_MOUNTS_MAX} absolute paths, separated by commas; VOLUME=PATH for a file system that is not on the first volume`;
const mounts: types.ValueType<readonly ApplicationMount[]> = {
  kind: 'mounts',
  allowed: MOUNTS_ALLOWED,
  isSecret: false,
  parse: (text) => {
    const found = text.split(/\s*,\s*/).map((one) => {
      const [, volume = null, path = ''] = /^(?:([^=/]+)=)?(\/.*)$/.exec(one) ?? [];
      return { volume, path };
    });
    const isGood = ({ path }: ApplicationMount): boolean =>
      path.length > 1 && Buffer.byteLength(path) <= PATH_MAX_BYTES && !/[\s\\]|\/$|\/\.{0,2}(?:\/|$)/.test(path);
    const isTwice = new Set(found.map(({ path }) => path)).size < found.length;
    return found.length <= APPLICATION_MOUNTS_MAX && found.every(isGood) && !isTwice ? found : refuse('mounts', text, MOUNTS_ALLOWED);
  },
};

const OPTIONS_ALLOWED = 'options of mount, separated by commas, such as noatime,nodev';
const mountOptions: types.ValueType<string> = {
  kind: 'options',
  allowed: OPTIONS_ALLOWED,
  isSecret: false,
  parse: (text) => (/^[A-Za-z0-9_=.,:/%-]{1,200}$/.test(text) && !text.startsWith('-') ? text : refuse('options', text, OPTIONS_ALLOWED)),
};

const UNIT_ALLOWED = 'the name of a systemd unit with its ending, such as postgresql.service';
const unit: types.ValueType<string> = {
  kind: 'unit',
  allowed: UNIT_ALLOWED,
  isSecret: false,
  parse: (text) =>
    /^[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,250}\.(?:service|target|scope|socket|timer)$/.test(text) ? text : refuse('unit', text, UNIT_ALLOWED),
};

const ADDRESS_ALLOWED = 'an address with the length of its prefix, such as 10.0.0.5/24';
const address: types.ValueType<PrefixedAddress> = {
  kind: 'address',
  allowed: ADDRESS_ALLOWED,
  isSecret: false,
  parse: (text) => {
    try {
      const found = parsePrefixedAddress(text);
      if (text.includes('/') && isSingleHost(found.address)) return found;
    } catch {
      // The text below says what is allowed.
    }
    return refuse('address', text, ADDRESS_ALLOWED);
  },
};

const INTERFACE_ALLOWED = 'the name of a network device, such as eth0';
const networkDevice: types.ValueType<string> = {
  kind: 'name',
  allowed: INTERFACE_ALLOWED,
  isSecret: false,
  parse: (text) => (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(text) ? parseName(text) : refuse('device', text, INTERFACE_ALLOWED)),
};

export const APPLICATION_SECTION = {
  hasName: true,
  occurs: 'any number',
  below: null,
  lines: null,
  help: 'An application that one of several nodes runs at a time, and that moves when a node or its service fails (see rsapp(8))',
  keys: {
    volumes: needed(volumes, 'Volumes of the application. The node that holds the first one runs it'),
    mounts: optional(mounts, 'Folders at which the file systems on the volumes are mounted, in order'),
    'mount-options': optional(mountOptions, 'Options of all these mounts', 'mountOptions'),
    service: optional(
      unit,
      'The service, a unit of systemd; disable it there, because rsapp starts it. Services without a unit have start',
    ),
    start: optional(
      types.path,
      'Program that is the service: it runs as long as the service does, in a control group. The file and its folders must belong to root',
    ),
    stop: optional(types.path, 'Program that ends the service, before rsapp sends SIGTERM and later SIGKILL'),
    check: optional(types.path, 'Program that exits with 0 if the service is well; otherwise the service has failed', 'check'),
    address: optional(address, 'Address that moves along with the application'),
    'address-device': optional(networkDevice, 'Network device of the address. Default: the device with an address of the same subnet'),
    nodes: needed(nodes, 'Nodes that may run it, in order of preference'),
    silent: withDefault(
      types.duration(APPLICATION_SILENT_MIN_MS, APPLICATION_SILENT_MAX_MS),
      printDuration(APPLICATION_SILENT_MS),
      'For how long most servers must have seen no path of the node that runs it, before another node takes over',
      'silentMs',
    ),
    'start-delay': withDefault(
      types.duration(APPLICATION_START_DELAY_MIN_MS, APPLICATION_SILENT_MAX_MS),
      printDuration(APPLICATION_START_DELAY_MS),
      'How long each node waits for the ones before it',
      'startDelayMs',
    ),
    'start-timeout': withDefault(
      time,
      printDuration(APPLICATION_START_MS),
      'Time limit for a start, with fsck and mounts',
      'startTimeoutMs',
    ),
    'stop-timeout': withDefault(
      time,
      printDuration(APPLICATION_STOP_MS),
      'Time limit for the service to end, before it is killed',
      'stopTimeoutMs',
    ),
    'check-interval': withDefault(time, printDuration(APPLICATION_CHECK_EVERY_MS), 'Time between checks of the service', 'checkIntervalMs'),
    'check-timeout': withDefault(
      time,
      printDuration(APPLICATION_CHECK_MS),
      'Time limit for one check; after this time, the service has failed',
      'checkTimeoutMs',
    ),
    restarts: withDefault(
      types.integer(0, APPLICATION_RESTARTS_MAX),
      String(APPLICATION_RESTARTS),
      'How often a failed service is restarted on its node within 10 minutes, before it moves',
      'restarts',
    ),
    'fail-back': withDefault(
      types.yesNo,
      'no',
      'Whether it returns to the first node when that has been in reach for a minute',
      'failBack',
    ),
    'on-isolation': withDefault(
      types.choice('stop', 'wait'),
      'stop',
      'What a node does that reaches no server for the time of silent: it stops the application, or waits until its I/O fails',
      'onIsolation',
    ),
  },
} as const;
