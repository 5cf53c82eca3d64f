// CreateVolume and DeleteVolume. A volume with content gets its name last: it is cloned or copied under another name, becomes private to
// the driver, grows, and is then renamed. Invariants: a volume with the name of the call is complete. The driver's client is the only one
// that may attach a new volume. However a call ends, its repetition continues where it ended. OK says that the volume is what this call
// wants: existing.ts compares everything that the server records, also for a volume that is not complete.

import { sleep } from '@rsio/base/lib/waiting';
import type { JobView } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { ANSWER_TRIES_MAX, COPY_LOOK_MS, COPY_WAIT_MS, SIZE_DEFAULT_BYTES } from '../limits.ts';
import { hashOf, parseSnapshotId, parseVolumeId, unfinishedNameOf, volumeNameOf } from '../product/ids.ts';
import type { Site } from '../product/orders.ts';
import { type Found, uuidOf } from '../product/volumes.ts';
import { filled, invalid, isForSeveralWriters, rangeOf, sizeIn, type SizeRange, type Use, usesOf } from '../rpc/fields.ts';
import type { ContentSource, CreateVolumeRequest, CsiVolume } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import { publishedNodes, volumeMessage } from './answers.ts';
import type { ControllerParts } from './controller-parts.ts';
import { checkExisting, checkOrigin, jobOf, type Origin, otherPlace } from './existing.ts';
import type { FoundSnapshot } from './mirror-snapshots.ts';
import type { Mirrors } from './mirrors.ts';
import { mergedSettings, mutableSettingsOf, type Parameters, parametersOf } from './parameters.ts';
import type { SnapshotRules } from './snapshots.ts';

const BLOCK_BYTES = 512;

/** Content of a new volume. */
interface Source {
  readonly found: Found;
  /** Name of the snapshot; null for the volume as it is now. */
  readonly snapshot: string | null;
  readonly sizeBytes: number;
  readonly origin: Origin;
}

interface Wanted {
  readonly name: string;
  readonly range: SizeRange;
  readonly uses: readonly Use[];
  readonly parameters: Parameters;
  readonly settings: readonly string[];
  readonly content: ContentSource | null;
}

interface CreationParts extends ControllerParts {
  readonly clock: Clock;
  readonly mirrors: Mirrors;
  readonly snapshots: Pick<SnapshotRules, 'find'>;
}

export class Creation {
  private readonly parts: CreationParts;

  constructor(parts: CreationParts) {
    this.parts = parts;
  }

  async create(request: CreateVolumeRequest): Promise<{ readonly volume: CsiVolume }> {
    const parameters = parametersOf(request.parameters);
    const wanted: Wanted = {
      name: filled(request.name, 'name'),
      range: rangeOf(request.capacityRange),
      uses: usesOf(request.volumeCapabilities),
      parameters,
      settings: mergedSettings(parameters.settings, mutableSettingsOf(request.mutableParameters)),
      content: request.volumeContentSource?.type === undefined ? null : request.volumeContentSource,
    };
    const site = await this.parts.orders.site();
    if (parameters.servers !== null) return { volume: await this.parts.mirrors.create(site, wanted, parameters.servers) };
    const source = await this.sourceOf(site, wanted.content, parameters.server);
    const server = serverOf(site, parameters.server, source);
    const name = volumeNameOf(wanted.name);
    const before = await this.parts.volumes.named(server, name);
    const found = before ?? (await this.made(site, server, wanted, source));
    checkExisting(found, site, { ...wanted, origin: source?.origin ?? null });
    const answer = { kind: 'volume', uuid: uuidOf(found), sizeBytes: found.volume.sizeBytes ?? 0 } as const;
    return { volume: volumeMessage(answer, site, parameters.fsType, wanted.content) };
  }

  async delete(volumeId: string): Promise<object> {
    const id = parseVolumeId(filled(volumeId, 'volume_id'));
    if (id === null) return {};
    if (id.kind === 'mirror') return this.parts.mirrors.delete(id.uuid);
    const site = await this.parts.orders.site();
    const found = await this.parts.volumes.byId(id.uuid);
    if (found === null) return {};
    const { volume, server, snapshots } = found;
    const refusal = (why: string): CsiError => new CsiError('FAILED_PRECONDITION', `Volume ${volume.name} of server ${server} ${why}`);
    if (volume.owner !== site.nodename)
      throw refusal(`was not created by client ${site.nodename}, the client of this driver: remove it with rsadm volume remove`);
    const nodes = publishedNodes(volume, site);
    if (nodes.length > 0) throw refusal(`is published to ${nodes.join(', ')}: unpublish it first`);
    if (snapshots.length > 0)
      throw refusal(`has ${snapshots.length} snapshots, such as ${snapshots[0]!.snapshot}, which go with it: delete them first`);
    try {
      await this.parts.orders.at(server, 'volume-remove', { name: volume.name, universe: volume.universe, request: this.parts.newId() });
    } catch (thrown) {
      if (toRsError(thrown).code !== 'E_UNKNOWN_VOLUME') throw thrown;
    }
    this.parts.volumes.forget(id.uuid);
    return {};
  }

  private async made(site: Site, server: string, wanted: Wanted, source: Source | null): Promise<Found> {
    const { volumes } = this.parts;
    const other = await otherPlace(volumes, site, server, volumeNameOf(wanted.name));
    if (other !== null)
      throw new CsiError('ALREADY_EXISTS', `Volume ${quoteText(wanted.name)} exists on server ${other}: choose another name`);
    const unfinished = await volumes.named(server, unfinishedNameOf(wanted.name));
    if (unfinished !== null) checkOrigin(unfinished, site, wanted.name, source?.origin ?? null);
    return source === null ? this.created(site, server, wanted) : this.filled(site, server, wanted, source, unfinished);
  }

  /**
   * Creates an empty volume. The id of the request is a hash of the name, so that a request that the server has executed, but whose answer
   * was lost, is not executed again. If the volume of that answer has been removed since, another id is used.
   */
  private async created(site: Site, server: string, { name, range, uses, parameters, settings }: Wanted): Promise<Found> {
    const volumeName = volumeNameOf(name);
    const sizeBytes = sizeIn(range, SIZE_DEFAULT_BYTES);
    const shared = uses.some(isForSeveralWriters);
    const { pool, thick } = parameters;
    const access = { clients: [site.nodename], takeOver: null, takeOverForce: false };
    for (let tries = 0; tries < ANSWER_TRIES_MAX; tries++) {
      const request =
        tries === 0 ? hashOf('create', name, server, JSON.stringify([pool, sizeBytes, thick, shared, settings])) : this.parts.newId();
      const whole = { name: volumeName, universe: 0, sizeBytes, blockSizeBytes: BLOCK_BYTES, pool, thick, readonly: false, shared };
      try {
        const { volume } = await this.parts.orders.at(server, 'volume-create', { ...whole, ...access, settings: [...settings], request });
        const found = await this.parts.volumes.named(server, volumeName);
        if (found !== null && found.volume.id === volume.id) return found;
      } catch (thrown) {
        // Two calls with this name may have reached the server, one of them from a driver that was killed.
        const found = toRsError(thrown).code === 'E_EXISTS' ? await this.parts.volumes.named(server, volumeName) : null;
        if (found === null) throw thrown;
        return found;
      }
    }
    throw new CsiError('ABORTED', `Volume ${volumeName} was created on server ${server}, and removed at once: repeat the call`);
  }

  /** Creates a volume with content. */
  private async filled(site: Site, server: string, wanted: Wanted, source: Source, begun: Found | null): Promise<Found> {
    const { orders, newId } = this.parts;
    const { sizeBytes: sourceBytes } = source;
    const { name, range, uses, settings } = wanted;
    if (range.limitBytes !== null && range.limitBytes < sourceBytes)
      throw new CsiError('OUT_OF_RANGE', `The source has ${sourceBytes} bytes, and at most ${range.limitBytes} are permitted: permit more`);
    const sizeBytes = Math.max(sourceBytes, sizeIn(range, sourceBytes));
    const unfinished = unfinishedNameOf(name);
    const universe = 0;
    const found = begun ?? (await this.begun(server, unfinished, wanted, source));
    checkOrigin(found, site, name, source.origin);
    const { volume } = found;
    const at = { name: unfinished, universe };
    const isPrivate = volume.clients?.length === 1 && volume.clients[0] === site.nodename;
    const shared = uses.some(isForSeveralWriters);
    const changes = [
      ...(isPrivate ? [] : [`clients=${site.nodename}`]),
      ...(volume.shared === shared ? [] : [`shared=${shared ? 'yes' : 'no'}`]),
      ...(volume.readonly ? ['readonly=no'] : []),
      ...settings,
    ];
    if (changes.length > 0) await orders.at(server, 'volume-set', { ...at, settings: changes, request: newId() });
    if ((volume.sizeBytes ?? 0) < sizeBytes)
      await orders.at(server, 'volume-grow', { ...at, sizeBytes, pool: null, mirror: null, request: newId() });
    const named = await orders.at(server, 'volume-rename', { ...at, newName: volumeNameOf(name), newUniverse: universe, request: newId() });
    return { server, volume: named.volume, snapshots: [] };
  }

  /** Clones a snapshot in its pool, or copies a volume or a snapshot by a job, which this call or its repetition awaits. */
  private async begun(server: string, newName: string, { name, parameters }: Wanted, source: Source): Promise<Found> {
    const { found, snapshot, origin } = source;
    const { orders, volumes, newId } = this.parts;
    const { volume } = found;
    const from = { name: volume.name, universe: volume.universe };
    const pool = parameters.pool ?? volume.pool;
    if (snapshot !== null && pool === volume.pool) {
      try {
        await orders.at(server, 'volume-clone', { ...from, snapshot, newName, newUniverse: 0, request: newId() });
      } catch (thrown) {
        if (toRsError(thrown).code !== 'E_EXISTS') throw thrown;
      }
      const cloned = await volumes.named(server, newName);
      if (cloned !== null) return cloned;
    }
    for (let tries = 0; tries < ANSWER_TRIES_MAX; tries++) {
      // The first request has a known id. If its job has made a volume that was removed since, another id is used.
      const request = tries === 0 ? hashOf('copy', name, server, origin.volumeId, origin.snapshotId ?? '', pool ?? '') : newId();
      const copy = { ...from, snapshot, newName, newUniverse: 0, pool, limitBytes: null, request };
      const job = (await this.jobFor(server, newName, name, source)) ?? (await orders.at(server, 'volume-copy', copy)).job;
      await this.copied(server, job);
      const copied = await volumes.named(server, newName);
      if (copied !== null) return copied;
    }
    throw new CsiError('ABORTED', `Volume ${newName} of server ${server} is not there yet: repeat the call`);
  }

  private async jobFor(server: string, newName: string, name: string, { found, snapshot }: Source): Promise<JobView | null> {
    const { jobs } = await this.parts.orders.at(server, 'job-list', { id: null });
    return jobOf(jobs, newName, name, { server, volume: found.volume.name, snapshot });
  }

  private async copied(server: string, { id }: JobView): Promise<void> {
    const { clock, orders } = this.parts;
    const untilMs = clock.monotonicMs() + COPY_WAIT_MS;
    for (;;) {
      const { jobs } = await orders.at(server, 'job-list', { id });
      const job = jobs.find((one) => one.id === id);
      // The server has forgotten the job, or the job has ended.
      if (job === undefined || job.state === 'done') return;
      if (job.state === 'failed' || job.state === 'cancelled')
        throw new CsiError(
          'INTERNAL',
          `The copy (job ${id} of server ${server}) has ${job.state}: ${job.reason ?? 'see the log of the server'}`,
        );
      if (clock.monotonicMs() >= untilMs)
        throw new CsiError(
          'ABORTED',
          `Job ${id} of server ${server} has copied ${job.doneBytes} of ${job.totalBytes} bytes: repeat the call`,
        );
      await sleep(clock, COPY_LOOK_MS);
    }
  }

  /** `server`: where the volume is wanted, which decides among the servers that have the snapshot of a mirror; null for any server. */
  private async sourceOf(site: Site, content: ContentSource | null, server: string | null): Promise<Source | null> {
    if (content === null) return null;
    if (content.type === 'snapshot') {
      const text = filled(content.snapshot?.snapshotId ?? '', 'snapshot_id');
      const id = parseSnapshotId(text);
      const found = id === null ? null : await this.parts.snapshots.find(id);
      if (found === null) throw new CsiError('NOT_FOUND', `Snapshot ${quoteText(text)} does not exist: name one that exists`);
      const { of, snapshot } = placeOn(found, site, server);
      const origin = { volumeId: uuidOf(of), snapshotId: snapshot.id };
      return { found: of, snapshot: snapshot.snapshot, sizeBytes: snapshot.sizeBytes, origin };
    }
    const text = filled(content.volume?.volumeId ?? '', 'volume_id');
    const id = parseVolumeId(text);
    if (id?.kind === 'mirror')
      throw new CsiError(
        'FAILED_PRECONDITION',
        `Volume ${text} is a mirror, which cannot be copied: make a snapshot, and use that as the source`,
      );
    const found = id === null ? null : await this.parts.volumes.byId(id.uuid);
    if (found === null) throw new CsiError('NOT_FOUND', `Volume ${quoteText(text)} does not exist: name one that exists`);
    return { found, snapshot: null, sizeBytes: found.volume.sizeBytes ?? 0, origin: { volumeId: uuidOf(found), snapshotId: null } };
  }
}

/**
 * Returns the place of the snapshot from which a volume on this server is cloned. The driver does not choose among the servers of a mirror,
 * because a repeated call could choose another one. Throws INVALID_ARGUMENT, or UNAVAILABLE if this server does not answer.
 */
function placeOn({ places, source, ...first }: FoundSnapshot, site: Site, server: string | null): Pick<FoundSnapshot, 'of' | 'snapshot'> {
  if (source.kind === 'volume') return first;
  const place = places.find(({ of }) => of.server === server);
  if (place !== undefined) return place;
  const trouble = site.places.find((one) => one.server === server)?.trouble ?? null;
  if (trouble !== null) throw new CsiError('UNAVAILABLE', `Parameter server is ${server}, and ${trouble}: repeat the call when it answers`);
  const { name } = first.of.volume;
  const known = places.map(({ of }) => of.server).join(' and ');
  throw invalid(
    `Snapshot ${name}@${first.snapshot.snapshot} of a mirror is on ${known}: use a class that names one of them in ` +
      `parameter server; the new volume is a plain volume there`,
  );
}

/** Returns the server for a new volume. Throws INVALID_ARGUMENT. */
function serverOf({ namespace, places }: Site, wanted: string | null, source: Source | null): string {
  const names = places.map(({ server }) => server);
  if (source !== null) {
    if (wanted !== null && wanted !== source.found.server)
      throw invalid(`Parameter server is ${wanted}, and the source is on server ${source.found.server}: use a class with that server`);
    return source.found.server;
  }
  if (wanted !== null) {
    const place = places.find(({ server }) => server === wanted);
    if (place === undefined) throw invalid(`Namespace ${namespace} has no server ${quoteText(wanted)}: known are ${names.join(', ')}`);
    if (place.trouble !== null)
      throw new CsiError('UNAVAILABLE', `Parameter server is ${wanted}, and ${place.trouble}: repeat the call when it answers`);
    return wanted;
  }
  const [only] = names;
  // The driver does not choose among several servers, because a repeated call could choose another one.
  if (only === undefined || names.length > 1)
    throw invalid(`Namespace ${namespace} has ${names.length} servers (${names.join(', ')}): name one in parameter server`);
  return only;
}
