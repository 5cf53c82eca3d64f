// Remembers, across restarts and reboots, when `rsconfig backup` last backed up each volume on this machine. The metrics show these times,
// so that monitoring can report missing backups. The backups themselves are files of the administrator. Invariants: at most BACKUPS_KEPT_MAX
// volumes are remembered, those with the newest backups; a damaged file never prevents the daemon from starting; a volume is shown under
// its present name, and no longer once all servers of its namespace have said that they do not offer it.

import { StateFile } from '@rsio/base/files/state-file';
import { BACKUP, type BackupView, type ControlMethods } from '@rsio/api/rsiod/methods';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { atMost, list, object, type Of, optional, text } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { BACKUPS_KEPT_MAX } from './limits.ts';

/** The id of the volume is absent in records of older releases, and if two volumes had the name. */
const KEPT = object({ ...BACKUP.form.fields, id: optional(text()) });
const CONTENT = object({ backups: atMost(BACKUPS_KEPT_MAX, list(KEPT)) });

/** A volume as servers offer it. */
type OfferedVolume = Pick<BackupView, 'namespace' | 'name' | 'universe'> & { readonly id: string };

export interface BackupsPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly folder: string;
  /** What the servers of all namespaces offer, as far as they have said it. */
  readonly offers: { readonly list: readonly OfferedVolume[] };
  /** The configured namespaces, and whether all their servers are connected and have listed their volumes. */
  readonly namespaces: {
    readonly list: readonly { readonly config: { readonly name: string }; readonly hasAllLists: boolean }[];
  };
}

const REMEDY = 'remove it; when volumes were backed up is then not known until the next backup';

export class Backups {
  private readonly ports: BackupsPorts;
  private readonly file: StateFile<Of<typeof CONTENT>>;
  private kept: readonly Of<typeof KEPT>[] = [];

  constructor(ports: BackupsPorts) {
    this.ports = ports;
    const form = { version: 1, shape: CONTENT, remedy: REMEDY };
    this.file = new StateFile(`${ports.folder}/backups.json`, form, () => ({ backups: this.kept }));
  }

  get list(): readonly BackupView[] {
    const { list: offers } = this.ports.offers;
    const byName = new Map(offers.map((offer) => [keyOf(offer, offer.name), offer]));
    const byId = new Map(offers.map((offer) => [keyOf(offer, offer.id), offer]));
    return this.kept.flatMap(({ id, ...backup }) => {
      const namespace = this.ports.namespaces.list.find(({ config }) => config.name === backup.namespace);
      const found = id === undefined ? byName.get(keyOf(backup, backup.name)) : byId.get(keyOf(backup, id));
      if (found === undefined) return namespace?.hasAllLists === false ? [backup] : [];
      return [{ ...backup, name: found.name }];
    });
  }

  async load(): Promise<void> {
    try {
      this.kept = (await this.file.load())?.backups ?? [];
    } catch (thrown) {
      this.ports.log.warn(toRsError(thrown).message);
    }
  }

  /** Called when a backup is complete. Resolves when the time is durable in the file. Throws E_SYSTEM. */
  async done({ namespace, name, universe, snapshot }: ControlMethods['backup-done']['params']): Promise<void> {
    const key = keyOf({ namespace, universe }, name);
    const ids = new Set(this.ports.offers.list.flatMap((offer) => (keyOf(offer, offer.name) === key ? [offer.id] : [])));
    const [id] = ids.size === 1 ? ids : [];
    const isSame = (one: Of<typeof KEPT>): boolean =>
      id === undefined || one.id === undefined ? keyOf(one, one.name) === key : keyOf(one, one.id) === keyOf({ namespace, universe }, id);
    const others = this.kept.filter((one) => !isSame(one));
    const atMs = Math.floor(this.ports.clock.wallMs());
    const made = { namespace, name, universe, snapshot, atMs, ...(id === undefined ? {} : { id }) };
    this.kept = [...others, made].slice(-BACKUPS_KEPT_MAX);
    await this.file.save();
    this.ports.log.info(`Snapshot ${snapshot} of volume ${namespace}:${name}@${universe} is backed up`);
  }
}

function keyOf({ namespace, universe }: Pick<BackupView, 'namespace' | 'universe'>, nameOrId: string): string {
  return `${namespace} ${universe} ${nameOrId}`;
}
