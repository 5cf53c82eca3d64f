// Remembers, across restarts, which servers have said that they have no volume of a name. A server that is away then blocks no changes of
// volumes that it does not have. Invariant: the server's last word counts. A word is forgotten as soon as the server shows or lists a volume
// of that name, and before a change that mentions the name is passed on to the server, because its outcome may stay unknown.

import { StateFile } from '@rsio/base/files/state-file';
import { toRsError } from '@rsio/base/lib/errors';
import { atMost, filledText, list, object, type Of } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { ABSENCES_KEPT_MAX } from './limits.ts';

const CONTENT = object({ absent: atMost(ABSENCES_KEPT_MAX, list(filledText())) });
const REMEDY = 'remove it; changes of a volume are then refused while a server is away, until all servers were asked for the volume once';

export interface NamedServer {
  readonly namespaceid: number;
  /** Null if it is not known which server this is. */
  readonly serverid: number | null;
}

export interface VolumeWord {
  readonly name: string;
  readonly universe: number;
}

export class Absences {
  private readonly log: Pick<Log, 'warn'>;
  private readonly file: StateFile<Of<typeof CONTENT>>;
  /** The words, the newest last. */
  private words = new Set<string>();

  constructor(path: string, log: Pick<Log, 'warn'>) {
    this.log = log;
    this.file = new StateFile(path, { version: 1, shape: CONTENT, remedy: REMEDY }, () => ({ absent: [...this.words] }));
  }

  async load(): Promise<void> {
    try {
      this.words = new Set((await this.file.load())?.absent);
    } catch (thrown) {
      this.log.warn(toRsError(thrown).message);
    }
  }

  has(server: NamedServer, volume: VolumeWord): boolean {
    return server.serverid !== null && this.words.has(wordOf(server, volume));
  }

  /** The server has said that it has no such volume. */
  async said(server: NamedServer, volume: VolumeWord): Promise<void> {
    const word = wordOf(server, volume);
    const isNew = !this.words.delete(word);
    this.words.add(word);
    const [oldest] = this.words;
    if (this.words.size > ABSENCES_KEPT_MAX && oldest !== undefined) this.words.delete(oldest);
    if (isNew) await this.save();
  }

  /** The server has volumes of these names. */
  async shown(server: NamedServer, volumes: readonly VolumeWord[]): Promise<void> {
    let isChanged = false;
    for (const volume of this.words.size === 0 ? [] : volumes) if (this.words.delete(wordOf(server, volume))) isChanged = true;
    if (isChanged) await this.save();
  }

  /** The server gets a change. Each name that its parameters mention may be that of a volume afterwards. */
  async changes(server: NamedServer, params: object): Promise<void> {
    const start = wordOf(server, { name: '', universe: 0 }).slice(0, -2);
    const text = JSON.stringify(params);
    const mentioned = [...this.words].filter(
      (word) => word.startsWith(start) && text.includes(JSON.stringify(word.slice(start.length + 2))),
    );
    for (const word of mentioned) this.words.delete(word);
    if (mentioned.length > 0) await this.save();
  }

  private async save(): Promise<void> {
    await this.file.save().catch((thrown: unknown) => this.log.warn(toRsError(thrown).message));
  }
}

/** The universe has one digit. */
function wordOf({ namespaceid, serverid }: NamedServer, { name, universe }: VolumeWord): string {
  return `${namespaceid} ${serverid ?? ''} ${universe} ${name}`;
}
