// Executes the methods about the file of the namespace: compares it with rssrvcfg, edits rssrvcfg and applies it, and remembers which file
// was applied last. Invariants: one order at a time edits the file, and as a whole or not at all; an order never takes the right admin or the
// key from the client that gives it; a client that holds a volume here is not removed; a file never replaces a newer one. Rules: G53.

import { readNamespaceFile } from '@rsio/common/config/namespace-file';
import { type NamespaceEdit, namespaceEdit, type NamespaceOrder } from '@rsio/common/config/namespace-edit';
import { throwProblems } from '@rsio/common/config/reader/findings';
import { type IniDocument, printIni } from '@rsio/common/config/reader/ini-document';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { clientKeys, keysOf } from '@rsio/common/config/schema/client-keys';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { HandlersOf } from '@rsio/common/control/control-server';
import type { NAMESPACE_METHODS } from '@rsio/api/rssrv/namespace-methods';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { ClientView } from '@rsio/api/views/views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { OneByOne } from '@rsio/base/structures/one-by-one';
import { eventOf } from '../../events/event-log.ts';
import { type Asker, clientAsker } from '../../pools/asker.ts';
import { FileMemory, type MemoryPorts } from './applied-file.ts';

export interface NamespacePorts extends MemoryPorts {
  config(): RssrvConfig;
  /** Reads rssrvcfg. Throws if it cannot be edited. */
  document(): IniDocument;
  /** Throws if a reload with this text would be refused. */
  check(text: string): Promise<unknown>;
  /** Edits rssrvcfg, and brings it into force. Throws, and leaves the file as it was, if it cannot come into force. */
  change(edit: (document: IniDocument) => IniDocument, by: string): Promise<unknown>;
  /** The clients, with the keys that their sessions use, and the volumes that they hold. */
  clients(): readonly Pick<ClientView, 'name' | 'sessionKey' | 'volumes'>[];
  /** Throws E_FENCED if the client is kept out. */
  checkFence(client: string): void;
}

type Params = ServerMethods['namespace-apply']['params'];
type Applied = ServerMethods['namespace-apply']['result'];

export class NamespaceFiles {
  private readonly ports: NamespacePorts;
  private readonly memory: FileMemory;
  private readonly turns = new OneByOne();

  constructor(ports: NamespacePorts) {
    this.ports = ports;
    this.memory = new FileMemory(ports);
  }

  /** Never rejects. */
  load(): Promise<void> {
    return this.memory.load();
  }

  handlers(asker: Asker): HandlersOf<typeof NAMESPACE_METHODS> {
    return {
      'namespace-show': () => this.show(),
      'namespace-apply': (params) => this.turns.run(() => this.apply(params, asker)),
    };
  }

  wasRenamed(name: string, to: string): boolean {
    return this.memory.wasRenamed(name, to);
  }

  /** Remembers that a client gets another name in rssrvcfg. */
  renamed(name: string, to: string): Promise<void> {
    return this.turns.run(() => this.memory.rename(name, to, this.keysIn(this.ports.document()).get(name) ?? []));
  }

  private show(): ServerMethods['namespace-show']['result'] {
    const { server, namespace } = this.ports.config();
    const base = { server: server.name, namespaceid: namespace.namespaceid };
    const { text, view: applied } = this.memory;
    if (text === null) return { ...base, applied: null, drift: [], extra: [], secondKeys: [] };
    try {
      const order = { wanted: this.wanted(text, false), isPart: false, clients: 'any', prune: false, endKeys: [] } as const;
      const { changes, extra, secondKeys } = this.edited(this.ports.document(), order);
      return { ...base, applied, drift: [...changes], extra: [...extra], secondKeys: [...secondKeys] };
    } catch (thrown) {
      // Whoever applies the next file needs the generation of this one.
      return { ...base, applied, drift: [`it cannot be compared: ${toRsError(thrown).message}`], extra: [], secondKeys: [] };
    }
  }

  private async apply({ text: given, plan, part, clients, prune, endKeys, generation }: Params, asker: Asker): Promise<Applied> {
    const { ports } = this;
    asker.needs('admin', 'apply files of the namespace');
    if (asker.node !== null) ports.checkFence(asker.node);
    if (part && (prune || generation !== null)) throw new RsError('E_USAGE', 'prune and generation belong to a whole file: leave out part');
    const order = { wanted: this.wanted(given, part), isPart: part, clients, prune, endKeys };
    const server = ports.config().server.name;
    const hash = part ? null : await ports.hash(given);
    if (hash !== null && this.isOfNamespace()) this.memory.checkNewer(hash, generation, server);
    let outcome: NamespaceEdit | null = null;
    const edit = (document: IniDocument): IniDocument => {
      outcome = this.edited(document, order);
      this.checkOutcome(outcome, asker);
      return outcome.document;
    };
    const document = ports.document();
    const had = this.keysIn(document);
    this.memory.checkNotEnded(had, order.wanted.clients, server);
    const planned = edit(document);
    const isChange = printIni(planned) !== printIni(document);
    if (isChange && plan) await ports.check(printIni(planned));
    else if (isChange) await ports.change(edit, asker.by);
    const { changes, extra, secondKeys } = outcome ?? this.edited(document, order);
    const isNew = !plan && (await this.remember(had, hash === null ? null : { text: given, hash }, generation, asker.by));
    return {
      server,
      changes: [...changes],
      extra: [...extra],
      secondKeys: [...secondKeys],
      applied: this.memory.view,
      isSame: plan || !(isChange || isNew),
    };
  }

  private edited(document: IniDocument, order: NamespaceOrder): NamespaceEdit {
    const config = parseRssrvConfig(printIni(document), this.ports.config().file);
    const sessionKeys = this.sessionKeys(config);
    return namespaceEdit(document, config, order, (client) => sessionKeys.get(client) ?? null);
  }

  /**
   * Which of its two keys the session of each client uses. A client whose keys in the file are not those in force is left out: what its
   * session has proved says nothing about them.
   */
  private sessionKeys(config: RssrvConfig): ReadonlyMap<string, ClientView['sessionKey']> {
    const [onDisk, inForce] = [config, this.ports.config()].map(
      ({ clients }) => new Map(clients.map((client) => [client.name, clientKeys(client).join(' ')])),
    );
    const same = this.ports.clients().filter(({ name }) => onDisk?.get(name) === inForce?.get(name));
    return new Map(same.map(({ name, sessionKey }) => [name, sessionKey]));
  }

  private keysIn(document: IniDocument): ReadonlyMap<string, readonly string[]> {
    const { clients } = parseRssrvConfig(printIni(document), this.ports.config().file);
    return new Map(clients.map((client) => [client.name, clientKeys(client)]));
  }

  /** False: the file that was applied last is of another namespace, whose number the server had then. */
  private isOfNamespace(): boolean {
    const { text } = this.memory;
    return text !== null && readNamespaceFile(text, '').wanted?.namespaceid === this.ports.config().namespace.namespaceid;
  }

  /** Throws E_CONFIG if the text is wrong, or is of another namespace. */
  private wanted(given: string, isPart: boolean): NamespaceOrder['wanted'] {
    const { wanted, problems } = readNamespaceFile(given, 'the file of the namespace', isPart);
    throwProblems('the file of the namespace', problems);
    const { namespace, server } = this.ports.config();
    if (wanted === null || wanted.namespaceid !== namespace.namespaceid)
      throw new RsError(
        'E_CONFIG',
        `Server ${server.name} is of the namespace with the namespaceid ${namespace.namespaceid}, and the file of ${wanted?.namespaceid}: ` +
          'apply it to the servers of its own namespace',
      );
    return wanted;
  }

  /** Throws E_RIGHTS or E_IN_USE if the edit would shut out its asker, or would stop the I/O of a client. */
  private checkOutcome({ document, removed }: NamespaceEdit, asker: Asker): void {
    for (const { name: client, volumes: held } of removed.length === 0 ? [] : this.ports.clients()) {
      if (held.length === 0 || !removed.includes(client)) continue;
      const server = this.ports.config().server.name;
      const remedy = `detach there first, or run rsadm client remove ${client} --force on ${server}, which stops its I/O`;
      throw new RsError('E_IN_USE', `Client ${client} holds ${held.join(', ')} of server ${server}: ${remedy}`, { client });
    }
    if (asker.node === null) return;
    const before = this.ports.config();
    const after = parseRssrvConfig(printIni(document), this.ports.config().file);
    const hadKeys = keysOf(before.clients, asker.node);
    const hasKeys = keysOf(after.clients, asker.node);
    if (clientAsker(asker.node, after).has('admin') && hadKeys.some((key) => hasKeys.includes(key))) return;
    throw new RsError(
      'E_RIGHTS',
      `The file would take the right admin or the key from ${asker.by}, which applies it: add it to the file, or run rsadm apply on the server`,
      { node: asker.node },
    );
  }

  /** Returns whether another file counts as applied now. */
  private async remember(
    had: ReadonlyMap<string, readonly string[]>,
    file: { readonly text: string; readonly hash: string } | null,
    generation: number | null,
    by: string,
  ): Promise<boolean> {
    const { ports } = this;
    if (!(await this.memory.remember(had, this.keysIn(ports.document()), file, generation, by))) return false;
    const what = `generation ${this.memory.view?.generation}, by ${by}`;
    ports.log.info(`The file of the namespace was applied: ${what}`, {
      ...eventOf(`namespace ${ports.config().namespace.name}`, '-', 'applied', what),
      audit: true,
    });
    return true;
  }
}
