// The daemon of applications: connects the desk with rsiod, the machine, the control socket and the file that keeps the drain. Invariant: a
// configuration that cannot be used changes nothing.

import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { loadRscltConfig } from '@rsio/common/config/load-config';
import { type DaemonPaths, rsiodPaths } from '@rsio/common/config/root-paths';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { APP_METHODS } from '@rsio/api/rsapp/app-methods';
import { type ControlServer, type HandlersOf, startControlServer } from '@rsio/common/control/control-server';
import { CONTROL_VERSION } from '@rsio/common/control/method-table';
import type { Service } from '@rsio/base/daemon/daemon-service';
import { replaceFile, syncDirectory } from '@rsio/base/files/durable-write';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { programVersion } from '@rsio/base/lib/version';
import { EventHistory, type EventStore } from '@rsio/common/events/event-history';
import type { DaemonLog } from '@rsio/base/log/log';
import { AppMetrics } from './app-metrics.ts';
import { removeIfEmpty } from './machine/control-group.ts';
import { AppMachine, type MachinePorts } from './machine/machine.ts';
import { runProgram } from './machine/programs.ts';
import { isMachineEnding } from './machine/service.ts';
import { Desk } from './runner/desk.ts';
import { RsiodSight } from './sight/rsiod-sight.ts';

export interface AppDaemonPorts extends Pick<MachinePorts, 'clock' | 'groups'> {
  readonly log: DaemonLog;
  readonly paths: DaemonPaths;
  /** Keeps the events across restarts. */
  readonly store: EventStore;
  readonly relog: (config: RscltConfig) => void;
}

export class AppDaemon implements Service {
  private config: RscltConfig;
  private readonly ports: AppDaemonPorts;
  private readonly desk: Desk;
  private readonly events: EventHistory;
  private readonly metrics: AppMetrics;
  private readonly beganMs: number;
  private configuredMs: number;
  private readonly drainFile: string;
  private readonly groups: string | null;
  private isDrained: boolean;
  private control: ControlServer | null = null;

  constructor(config: RscltConfig, ports: AppDaemonPorts) {
    const { clock, log, paths, groups } = ports;
    this.config = config;
    this.ports = ports;
    this.beganMs = clock.wallMs();
    this.configuredMs = this.beganMs;
    this.drainFile = join(paths.stateDir, 'drained');
    this.isDrained = existsSync(this.drainFile);
    // Two roots on one machine have groups of their own.
    const root = paths.root === '' ? '' : `-${createHash('sha256').update(paths.root).digest('hex').slice(0, 8)}`;
    this.groups = groups === null ? null : join(groups, `rsio-applications${root}`);
    const machine = { clock, run: runProgram, groups: this.groups, runDir: paths.runDir };
    this.events = new EventHistory(clock, ports.store);
    this.desk = new Desk(config.applications, {
      clock,
      log,
      nodename: () => this.config.namespaces[0]?.nodename ?? '',
      tell: (change) => this.events.add(change),
      sight: new RsiodSight(rsiodPaths(paths.root).controlSocket, clock),
      machineOf: (app) => new AppMachine(app, machine),
      isDrained: () => this.isDrained,
      setDrained: (isDrained) => this.setDrained(isDrained),
    });
    const { desk } = this;
    this.metrics = new AppMetrics({ clock, log, isDrained: () => this.isDrained, node: () => desk.node, figures: () => desk.figures });
    this.events.heard = ({ object }) => this.metrics.events.note(object);
  }

  async start(): Promise<void> {
    const { paths, log } = this.ports;
    await this.metrics.follow(this.config);
    this.control = await startControlServer(paths.controlSocket, APP_METHODS, this.handlers(), log);
    this.desk.start();
  }

  async stop(): Promise<void> {
    const { desk } = this;
    // systemd may already be stopping the services of applications, and these stops must not count as failures.
    desk.pause();
    if (desk.views.length > 0 && (await isMachineEnding(runProgram))) {
      this.ports.log.info('This machine goes down: its applications leave it');
      await desk.leave();
    }
    await desk.stop();
    await this.control?.close();
    await this.metrics.close();
    if (this.groups !== null) removeIfEmpty(this.groups);
  }

  reload(): void {
    this.ports.log.reopen();
    try {
      this.reloadNow();
    } catch (thrown) {
      this.ports.log.error(`The configuration was not reloaded: ${toRsError(thrown).message}`);
    }
  }

  private reloadNow(): string[] {
    const { paths, log, clock, relog } = this.ports;
    const next = loadRscltConfig(paths.configFile);
    const applied = this.desk.follow(next.applications);
    this.config = next;
    this.configuredMs = clock.wallMs();
    relog(next);
    void this.metrics.follow(next);
    for (const sentence of applied) log.info(sentence);
    return applied;
  }

  private async setDrained(isDrained: boolean): Promise<void> {
    const { stateDir } = this.ports.paths;
    await mkdir(stateDir, { recursive: true });
    if (isDrained) await replaceFile(this.drainFile, 'rsconfig node drain --end removes this file\n');
    else {
      await rm(this.drainFile, { force: true });
      await syncDirectory(stateDir);
    }
    this.isDrained = isDrained;
  }

  private handlers(): HandlersOf<typeof APP_METHODS> {
    const { desk } = this;
    const handlers: HandlersOf<typeof APP_METHODS> = {
      events: (wanted) => this.events.read(wanted),
      daemon: () => ({
        program: 'rsapp',
        version: programVersion(),
        control: CONTROL_VERSION,
        methods: Object.keys(handlers),
        pid: process.pid,
        nodename: desk.node,
        startedMs: this.beganMs,
        configuredMs: this.configuredMs,
      }),
      applications: () => ({ node: desk.node, drained: this.isDrained, applications: desk.views }),
      'app-order': async ({ name, order, to }) => {
        if (to !== null && order !== 'move') throw new RsError('E_USAGE', `Only a move has a node: leave ${to} out`);
        return { application: await desk.order(name, order, to) };
      },
      drain: async ({ end }) => {
        await desk.drain(!end);
        return { drained: this.isDrained, applications: desk.views };
      },
      reload: () => ({ applied: this.reloadNow() }),
    };
    return handlers;
  }
}
