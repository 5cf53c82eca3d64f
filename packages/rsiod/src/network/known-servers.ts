// Remembers across restarts where each server was last found, so that a client that was away finds a server whose addresses have changed.
// route-plan.ts decides which of these addresses are tried. Invariants: only a server that has proved its identity changes its entry. An
// entry is a hint; a damaged file never prevents the start.

import { type KnownServer, KNOWN_SERVERS_FORM } from '@rsio/common/config/known-servers';
import { SERVER_ADDRESSES_MAX, SERVERS_PER_CLIENT_MAX } from '@rsio/common/config/schema/limits';
import { StateFile } from '@rsio/base/files/state-file';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { isDeepStrictEqual } from 'node:util';

export class KnownServers {
  private readonly log: Pick<Log, 'warn'>;
  private readonly file: StateFile<{ readonly servers: readonly KnownServer[] }>;
  /** False in a data process, because the main process writes the file. */
  private readonly isWriter: boolean;
  private kept: readonly KnownServer[] = [];

  constructor(path: string, log: Pick<Log, 'warn'>, isWriter: boolean) {
    this.log = log;
    this.isWriter = isWriter;
    this.file = new StateFile(path, KNOWN_SERVERS_FORM, () => ({ servers: this.kept }));
  }

  async load(): Promise<void> {
    try {
      this.kept = (await this.file.load())?.servers ?? [];
    } catch (thrown) {
      this.log.warn(toRsError(thrown).message);
    }
  }

  of(namespaceid: number): readonly KnownServer[] {
    return this.kept.filter((one) => one.namespaceid === namespaceid);
  }

  /** The serverid of the server that was found at one of these end points; null: none. */
  serveridAt(namespaceid: number, keys: readonly string[]): number | null {
    return this.of(namespaceid).find(({ sections }) => keys.some((key) => sections.includes(key)))?.serverid ?? null;
  }

  /** Takes what a proven server reports. The entry that was changed longest ago makes room for a new one. */
  learned(server: KnownServer): void {
    const next = {
      ...server,
      interfaces: server.interfaces.slice(0, SERVER_ADDRESSES_MAX).map(({ name, address, port }) => ({ name, address, port })),
      sections: server.sections.slice(0, SERVER_ADDRESSES_MAX),
    };
    const isSame = (one: KnownServer): boolean => one.namespaceid === next.namespaceid && one.serverid === next.serverid;
    if (!this.isWriter || isDeepStrictEqual(this.kept.find(isSame), next)) return;
    this.kept = [...this.kept.filter((one) => !isSame(one)), next].slice(-SERVERS_PER_CLIENT_MAX);
    this.file.save().catch((thrown: unknown) => this.log.warn(toRsError(thrown).message));
  }
}
