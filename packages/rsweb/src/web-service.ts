// The daemon: connects the configuration, the web server and the pages, and applies a changed configuration. Invariant: an unusable
// configuration changes nothing, so that a failed reload does not stop the pages.

import { hostname } from 'node:os';
import { warningSentences } from '@rsio/common/config/load-config';
import { daemonPaths, rsiodPaths, rssrvPaths } from '@rsio/common/config/root-paths';
import type { CallOptions } from '@rsio/common/control/control-client';
import type { AppMethods } from '@rsio/api/rsapp/app-methods';
import type { ControlMethodName, ControlMethods } from '@rsio/api/rsiod/methods';
import type { ServerMethodName, ServerMethods } from '@rsio/api/rssrv/server-methods';
import { callApp } from '@rsio/api/rsapp/call-app';
import { callControl } from '@rsio/api/rsiod/call-rsiod';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { Clock } from '@rsio/base/lib/clock';
import type { LogSettings } from '@rsio/base/daemon/log-place';
import type { Service } from '@rsio/base/daemon/daemon-service';
import { toRsError } from '@rsio/base/lib/errors';
import { printEndpoint } from '@rsio/base/lib/units';
import type { DaemonLog } from '@rsio/base/log/log';
import { Api } from './api/api.ts';
import type { DaemonCalls } from './api/calls.ts';
import { App } from './app.ts';
import { Doors, type DoorSettings } from './login/doors.ts';
import { serverIdentity, type ServerIdentity } from './config/credentials.ts';
import { loadWebConfig, type WebConfig } from './config/rswebcfg.ts';
import type { Handler } from './http/reply.ts';
import type { Picture } from './model/picture.ts';
import { WebServer } from './http/web-server.ts';
import { Live } from './live/live.ts';
import { HistoryRings } from './model/history-rings.ts';
import { Desk } from './orders/desk.ts';
import { orderTable } from './orders/order-table.ts';
import { Hub } from './sources/hub.ts';
import { LocalApps } from './sources/local-apps.ts';
import { LocalClient } from './sources/local-client.ts';
import { LocalServer } from './sources/local-server.ts';
import { Remote } from './sources/remote.ts';
import { ServerFacts } from './impact/server-facts.ts';
import type { Source } from './sources/source.ts';

export interface WebServicePorts {
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** Applies the log settings of a configuration. */
  readonly relog: (settings: LogSettings) => void;
  /** Root directory that is put in front of all paths of this machine's daemons. */
  readonly root: string;
  /** True if rsweb takes orders (--manage). */
  readonly isManaging: boolean;
}

export class WebService implements Service {
  private config: WebConfig;
  private identity: ServerIdentity | null;
  private readonly ports: WebServicePorts;
  private readonly doors: Doors;
  private readonly hub: Hub;
  private readonly live: Live;
  private readonly app: App;
  private readonly api: Api;
  private server: WebServer | null = null;
  /** Resolves when the last reload has ended. Each reload first waits for the previous reload. */
  private reloads: Promise<void> = Promise.resolve();

  /** `config`: the first configuration. Throws E_CONFIG if the certificate in this configuration cannot be used. */
  constructor(config: WebConfig, ports: WebServicePorts) {
    this.config = config;
    this.ports = ports;
    this.identity = serverIdentity(config);
    this.doors = new Doors(settingsOf(config, this.identity), ports.clock, ports.log);
    const { clock, root, isManaging } = ports;
    const history = new HistoryRings();
    const live = new Live(clock);
    this.live = live;
    const changed = (picture: Picture): void => {
      history.record(picture);
      live.show(picture);
    };
    this.hub = new Hub(clock, () => live.isWatched, changed);
    const calls = callsAt(root);
    const desk = isManaging ? this.newDesk(calls) : null;
    const { log } = ports;
    // The interface takes methods and parameters from the tables, and checks them at run time.
    const apiCalls = calls as unknown as DaemonCalls;
    this.api = new Api({ clock, log, doors: this.doors, calls: apiCalls, isManaging, changed: () => this.hub.renew() });
    this.app = new App(clock, this.doors, this.hub, history, live, desk, this.api, new ServerFacts(clock, apiCalls));
  }

  private newDesk({ server, client, applications }: Calls): Desk {
    const orders = orderTable({
      server: (method, params, giver) => server(method, params, giver),
      client: (method, params, { by }) => client(method, params, { by }),
      app: (method, params, { by }) => applications(method, params, { by }),
    });
    return new Desk(orders, this.hub, this.ports.clock, this.ports.log);
  }

  private sourcesOf(config: WebConfig): Source[] {
    const { clock, root } = this.ports;
    const own = [
      new LocalServer(rssrvPaths(root), clock),
      new LocalClient(rsiodPaths(root), clock),
      new LocalApps(daemonPaths(root, 'rsapp'), clock),
    ];
    return [...own, ...config.sources.map((source) => new Remote(source, clock))];
  }

  async start(): Promise<void> {
    this.server = await this.listening(this.config, this.identity);
    this.hub.take(this.sourcesOf(this.config));
    this.ports.log.info(`Up: ${urlOf(this.config)}`);
  }

  async stop(): Promise<void> {
    await this.reloads;
    this.hub.close();
    this.live.close();
    this.api.close();
    await this.server?.close();
    this.doors.close();
  }

  reload(): void {
    this.ports.log.reopen();
    this.reloads = this.reloads
      .then(() => this.apply())
      .catch((thrown: unknown) => {
        const { message, code } = toRsError(thrown);
        this.ports.log.error(`The configuration stays as it was: ${message} [${code}]`);
      });
  }

  private async apply(): Promise<void> {
    const config = loadWebConfig(this.config.file);
    const identity = serverIdentity(config);
    const before = this.server;
    const moves = urlOf(config) !== urlOf(this.config);
    // rsweb listens on the new address before it changes anything else. If rsweb cannot listen there, the old address stays in use.
    if (moves || before === null) this.server = await this.listening(config, identity);
    else if (identity !== null) before.renew(identity.credentials);
    this.ports.relog(config);
    this.config = config;
    this.identity = identity;
    this.doors.configure(settingsOf(config, identity));
    this.hub.take(this.sourcesOf(config));
    if (moves) void before?.close();
    for (const warning of warningSentences(config.warnings)) this.ports.log.warn(warning);
    this.ports.log.info(`The configuration was read again: ${urlOf(config)}`);
  }

  private async listening(config: WebConfig, identity: ServerIdentity | null): Promise<WebServer> {
    const { clock, log } = this.ports;
    const handler: Handler = (request, proven) => this.app.handle(request, proven);
    const server = new WebServer(identity?.credentials ?? null, handler, clock, log);
    await server.listen(config.listen);
    return server;
  }
}

/** Calls of the daemons of the machine. */
type Calls = ReturnType<typeof callsAt>;

function callsAt(root: string) {
  return {
    server: <M extends ServerMethodName>(method: M, params: ServerMethods[M]['params'], options: CallOptions) =>
      callServer(rssrvPaths(root).controlSocket, method, params, options),
    client: <M extends ControlMethodName>(method: M, params: ControlMethods[M]['params'], options: CallOptions) =>
      callControl(rsiodPaths(root).controlSocket, method, params, options),
    applications: <M extends keyof AppMethods>(method: M, params: AppMethods[M]['params'], options: CallOptions) =>
      callApp(daemonPaths(root, 'rsapp').controlSocket, method, params, options),
  };
}

export function urlOf({ listen, certificate }: WebConfig): string {
  return `${certificate === null ? 'http' : 'https'}://${printEndpoint(listen.address, listen.port)}`;
}

function settingsOf({ names, tokens, idleMs }: WebConfig, identity: ServerIdentity | null): DoorSettings {
  return { isTls: identity !== null, names: [...names, hostname().toLowerCase(), ...(identity?.names ?? [])], tokens, idleMs };
}
