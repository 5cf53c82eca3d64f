// Creates a volume, and changes its settings. rssrv decides whether the change is permitted, and executes the change. Invariant: each
// request carries an id, so that rssrv never executes it twice.

import { type GivenOptions, type OptionSpecs, usageError } from '@rsio/common/cli/command';
import { LIMIT_KEYS, limitAllowed, type LimitKey, NO_IO_LIMITS, withLimit } from '@rsio/common/config/schema/io-limits';
import type { ServerMethods } from '../../rssrv/server-methods.ts';
import { type ManagedVolumeView, VOLUME } from '../../views/views.ts';
import { toText } from '@rsio/common/cli/table';
import { RsError } from '@rsio/base/lib/errors';
import { flag } from '@rsio/base/lib/shape';
import { parseWhole, quoteText, shownSize } from '@rsio/base/lib/units';
import { poolsText } from '../../views/server-tables.ts';
import type { VolumeDoor, VolumeTarget } from './door.ts';
import { clientsOf, poolNameOf, sizeOf } from '../../views/values.ts';

/** Usage, summary and options of `volume create`. */
export const CREATE = {
  synopsis:
    'volume create NAME --size SIZE [--pool P] [--clients LIST]\n[--stripe SIZE --pools LIST | --concat --pools LIST]\n[--thick] [--read-only] [--shared] [--block-size N]\n[--iops N] [--bandwidth SIZE] [--burst TIME] [--if-absent]',
  summary: 'creates a volume in a pool',
  details: `A new volume contains zeros. Without --pool, rssrv prefers pools with reflink,
and chooses the one with the most room. A volume takes space only for written
data. With --thick, all of its space is allocated at once, so that writes never
lack space. --stripe distributes chunks of this size over the pools in rotation;
--concat fills one pool after the other. A volume over several pools needs all
of them.

With --if-absent, the command succeeds and changes nothing if the volume exists
with the given size, block size, mode, pools and clients. If it differs, the
error names the difference. So a script can repeat the command.`,
  options: {
    size: { kind: 'text', value: 'SIZE', help: 'size of the volume, such as 20g' },
    pool: { kind: 'text', value: 'P', help: 'pool of the volume' },
    stripe: { kind: 'text', value: 'SIZE', help: 'spread the volume over --pools, in chunks such as 64k' },
    concat: { kind: 'flag', help: 'lay the volume out over --pools, one after the other' },
    pools: { kind: 'text', value: 'LIST', help: 'pools of the volume, separated by commas' },
    clients: {
      kind: 'text',
      value: 'LIST',
      help: 'clients that may attach it, such as a,b, or all; default:\nall, or the client that creates it (tenants in rssrvcfg(5))',
    },
    thick: { kind: 'flag', help: 'allocate the space of the whole volume' },
    'read-only': { kind: 'flag', help: 'refuse writes' },
    shared: { kind: 'flag', help: 'let several clients write at the same time' },
    'block-size': { kind: 'text', value: 'N', help: 'block size that clients see: 512 (default) or 4096' },
    iops: { kind: 'text', value: 'N', help: 'maximum requests per second, for all clients together' },
    bandwidth: { kind: 'text', value: 'SIZE', help: 'maximum bytes per second, such as 50m' },
    burst: { kind: 'text', value: 'TIME', help: 'time for which unused limits accumulate; default: 1s' },
    'if-absent': { kind: 'flag', help: 'succeed if the same volume exists already' },
  },
} as const satisfies { readonly synopsis: string; readonly summary: string; readonly details: string; readonly options: OptionSpecs };

export type CreateOptions = GivenOptions<typeof CREATE.options>;

export interface CreatedVolume {
  readonly target: VolumeTarget;
  readonly volume: ManagedVolumeView;
  /** True if the volume existed before, and the command has --if-absent. */
  readonly existed: boolean;
}

/** The fields that `volume create` prints about the volume. */
export const CREATED_FIELDS = { volume: VOLUME, existed: flag('With --if-absent: the volume existed already, and nothing was changed') };

/** Creates the volume. Throws E_USAGE, and the errors of the door and of rssrv. */
export async function createVolume(door: VolumeDoor, options: CreateOptions, name: string, program: string): Promise<CreatedVolume> {
  const { size, pool, clients, thick, shared } = options;
  if (size === null) throw usageError('No --size: give the size of the volume, such as 20g', program);
  const blockSizeBytes = parseWhole(options['block-size'] ?? '512');
  if (blockSizeBytes !== 512 && blockSizeBytes !== 4096)
    throw usageError(`Wrong --block-size ${quoteText(options['block-size'] ?? '')}: allowed is 512 or 4096`, program);
  const settings = {
    sizeBytes: sizeOf('--size', size, program),
    blockSizeBytes,
    pool: pool === null ? null : poolNameOf('--pool', pool, program),
    ...layoutOf(options, program),
    thick,
    readonly: options['read-only'],
    shared,
    clients: clients === null ? null : clientsOf('--clients', clients, program),
    takeOver: null,
    takeOverForce: false,
    ...limitSettings(options, program),
  };
  const pools = settings.pools ?? (settings.pool === null ? [] : [settings.pool]);
  const make = async (): Promise<CreatedVolume> => createAtFirst(door, await door.choose(name, { pools }), settings);
  const created = options['if-absent'] ? await createIfAbsent(door, name, settings, pools, make) : await make();
  if (clients !== null) await noteUnknownClients(door, created.target, created.volume);
  // A server with tenants gives a volume without names to its creator alone.
  if (clients === null || settings.clients !== null || created.existed || created.volume.clients === null) return created;
  const request = { ...created.target.volume, settings: ['clients=all', 'take-over=yes'], request: door.newId() };
  return { ...created, volume: (await created.target.call('volume-set', request)).volume };
}

/** Executes `make`. If a volume with this name exists, returns it; throws E_EXISTS if the volume does not match `settings`. */
async function createIfAbsent(
  door: VolumeDoor,
  name: string,
  settings: Settings,
  pools: readonly string[],
  make: () => Promise<CreatedVolume>,
): Promise<CreatedVolume> {
  try {
    return await make();
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_EXISTS') throw thrown;
    const target = await door.find(name, 'change').catch((missing: unknown) => {
      // Something else has the name, such as a section of rssrvcfg that this client may not see.
      throw missing instanceof RsError && missing.code === 'E_UNKNOWN_VOLUME' ? thrown : missing;
    });
    const { volume } = await target.call('volume-show', target.volume);
    const differences = differencesOf(volume, settings, pools);
    if (differences.length === 0) return { target, volume, existed: true };
    throw new RsError(
      'E_EXISTS',
      `${target.label(volume)} exists and is another volume than the wanted one: ${differences.join('; ')}; choose another name`,
    );
  }
}

/** Returns how the volume differs from the wanted one. Settings that were not given do not count, nor do limits of its I/O. */
export function differencesOf(volume: ManagedVolumeView, wanted: Settings, pools: readonly string[]): string[] {
  const its = volume.layout === null ? [volume.pool] : volume.layout.parts.map(({ pool }) => pool);
  const mode = ({ readonly, shared }: Pick<ManagedVolumeView, 'readonly' | 'shared'>): string =>
    readonly ? 'read-only' : shared ? 'shared' : 'exclusive';
  const names = (clients: readonly string[] | null): string => clients?.toSorted().join(',') ?? 'all';
  const bytes = (size: number | null): string => `${shownSize(size)} (${size ?? '-'} bytes)`;
  const compared: (readonly [string, string, string])[] = [
    ['size', bytes(volume.sizeBytes), bytes(wanted.sizeBytes)],
    ['block size', String(volume.blockSizeBytes), String(wanted.blockSizeBytes)],
    ['mode', mode(volume), mode(wanted)],
    ...(wanted.thick ? [['allocation', volume.thick ? 'thick' : 'thin', 'thick'] as const] : []),
    ...(wanted.clients === null ? [] : [['list of clients', names(volume.clients), names(wanted.clients)] as const]),
  ];
  const differing = compared.flatMap(([what, is, want]) => (is === want ? [] : [`its ${what} is ${is} and not ${want}`]));
  const missing = pools.filter((pool) => !its.includes(pool));
  return missing.length === 0 ? differing : [...differing, `it is not in pool ${missing.join(' and ')}`];
}

/** Returns the I/O limits of the volume as settings. Throws E_USAGE if a limit is wrong. */
function limitSettings(options: CreateOptions, program: string): Pick<Settings, 'settings'> {
  const settings = LIMIT_KEYS.flatMap((key) => (options[key] === null ? [] : [limitSetting(key, options[key], program)]));
  return settings.length === 0 ? {} : { settings };
}

function limitSetting(key: LimitKey, value: string, program: string): string {
  try {
    withLimit(NO_IO_LIMITS, key, value);
  } catch {
    throw usageError(`Wrong --${key} ${quoteText(value)}: allowed is ${limitAllowed(key)}`, program);
  }
  return `${key}=${value}`;
}

/** Returns the layout of the volume. Throws E_USAGE if `--stripe` or `--concat` is given without `--pools`. */
function layoutOf(
  { stripe, concat, pools, pool }: Pick<CreateOptions, 'stripe' | 'concat' | 'pools' | 'pool'>,
  program: string,
): Pick<Settings, 'pools' | 'chunkBytes'> {
  if (stripe === null && !concat) {
    if (pools !== null) throw usageError('--pools needs --stripe SIZE or --concat: give one of them, or --pool for one pool', program);
    return {};
  }
  if (stripe !== null && concat) throw usageError('Both --stripe and --concat are given: give one of them', program);
  if (pool !== null) throw usageError('Both --pool and a layout over several pools are given: give --pools instead', program);
  if (pools === null) throw usageError('No --pools: give the pools of the volume, such as fast,slow', program);
  return {
    pools: pools.split(',').map((one) => poolNameOf('--pools', one, program)),
    chunkBytes: stripe === null ? null : sizeOf('--stripe', stripe, program),
  };
}

type Settings = Omit<ServerMethods['volume-create']['params'], 'name' | 'universe' | 'request'>;

/** Refusals that prove that nothing was created, so that the command can try another server. */
const NOT_HERE: readonly string[] = ['E_RIGHTS', 'E_UNKNOWN_POOL', 'E_POOL', 'E_SPACE'];

/**
 * Creates the volume at the first server that does not refuse the request. If all servers refuse, throws the refusal of the first server.
 */
async function createAtFirst(door: VolumeDoor, targets: readonly VolumeTarget[], settings: Settings): Promise<CreatedVolume> {
  let refusal: RsError | null = null;
  for (const target of targets) {
    try {
      const { volume } = await target.call('volume-create', { ...target.volume, ...settings, request: door.newId() });
      return { target, volume, existed: false };
    } catch (thrown) {
      if (!(thrown instanceof RsError) || !NOT_HERE.includes(thrown.code)) throw thrown;
      refusal ??= thrown;
    }
  }
  throw refusal ?? new RsError('E_INTERNAL', 'No server to create the volume at');
}

/** Explains what it means that a pool has no reflink, and how to make a file system that has reflink. */
export function withoutReflink(pool: string): string {
  return (
    `Pool ${pool} has no reflink, so that its volumes have no snapshots, clones, images, copies and moves: ` +
    'a file system that mkfs.xfs -m reflink=1 or mkfs.btrfs has made has it'
  );
}

/** Reports that a volume was created and, if it is not served, the reason. */
export function reportCreated(door: Pick<VolumeDoor, 'out' | 'note'>, { target, volume, existed }: CreatedVolume): void {
  const label = target.label(volume);
  const where = `${volume.layout === null ? 'pool' : 'pools'} ${poolsText(volume)}`;
  door.out(toText([`${label} ${existed ? 'exists already' : 'created'} in ${where}${target.ofServer}, ${shownSize(volume.sizeBytes)}`]));
  if (volume.reflink === false) door.note(withoutReflink(volume.layout === null ? (volume.pool ?? '') : poolsText(volume)));
  if (volume.overcommit !== undefined) door.note(volume.overcommit);
  if (volume.state === 'unavailable') door.note(`${label} is not served: ${volume.reason ?? '-'}`);
}

/**
 * Prints a note about clients that the server does not know. An unknown client is not an error, because an administrator may add the client
 * later. If the asker may not list clients, prints nothing.
 */
export async function noteUnknownClients(
  { note }: Pick<VolumeDoor, 'note'>,
  { call, label }: Pick<VolumeTarget, 'call' | 'label'>,
  volume: ManagedVolumeView,
): Promise<void> {
  const clients = await call('client-list', {}).then(
    (answer) => answer.clients,
    (thrown: unknown) => {
      if (thrown instanceof RsError && thrown.code === 'E_RIGHTS') return null;
      throw thrown;
    },
  );
  const unknown = clients === null ? [] : (volume.clients?.filter((name) => !clients.some((client) => client.name === name)) ?? []);
  if (unknown.length > 0)
    note(`${label(volume)} is for ${unknown.join(', ')}, not listed in [clients]: rsadm client add NAME lets a client connect`);
}
