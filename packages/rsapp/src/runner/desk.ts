// All applications of this node: looks at each of them at an interval, answers the control socket, and follows the configuration. Invariants: an
// application that hangs delays no other one; a change of the configuration never touches an application that runs here; when the machine goes
// down, applications leave it in order.

import { sleep } from '@rsio/base/lib/waiting';
import { isDeepStrictEqual } from 'node:util';
import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import type { AppOrder, ApplicationView } from '@rsio/api/rsapp/app-methods';
import type { Change } from '@rsio/common/events/event-history';
import type { Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { COMMAND_WAIT_MS, APPLICATION_LOOK_MS, LEAVE_MAX_MS } from '../limits.ts';
import type { Machine } from '../machine/machine.ts';
import type { Volumes } from '../sight/rsiod-sight.ts';
import type { AppFigures } from './app-news.ts';
import { AppRunner, type RunnerPorts } from './app-runner.ts';

export interface DeskPorts extends RunnerPorts {
  /** Name of this node in its configuration, which is used until the servers have reported the name. */
  nodename(): string;
  machineOf(app: ApplicationConfig): Machine;
  /** Durable when the promise resolves. */
  setDrained(isDrained: boolean): Promise<void>;
}

interface Place {
  readonly runner: AppRunner;
  looking: Promise<void> | null;
  /** The first look has ended, so any reason to refuse orders is known. */
  hasLooked: boolean;
}

export class Desk {
  private readonly ports: DeskPorts;
  private readonly places = new Map<string, Place>();
  private timer: Timer | null = null;
  private isOver = false;
  private isPaused = false;
  private isLeaving = false;
  private lastTrouble = '';
  private drainState: 'active' | 'draining' | 'drained' | null = null;

  constructor(apps: readonly ApplicationConfig[], ports: DeskPorts) {
    this.ports = ports;
    for (const app of apps) this.add(app);
  }

  start(): void {
    void this.tick();
  }

  /** No application gets an order until `leave`. Orders under way go on. */
  pause(): void {
    this.isPaused = true;
  }

  /**
   * This machine goes down: its applications leave as in a drain, but the drain ends with the next boot. After LEAVE_MAX_MS, the machine
   * goes down all the same.
   */
  async leave(): Promise<void> {
    const { clock, log } = this.ports;
    this.isLeaving = true;
    this.isPaused = false;
    for (const { runner } of this.places.values()) runner.commands.stop('This machine goes down: give the order on another node');
    const left = await this.untilEmpty(clock.monotonicMs() + LEAVE_MAX_MS, () => true);
    if (left !== null) log.error(stillHere(left.view, 'the machine goes down all the same'));
  }

  /** Orders under way end first. Applications go on. */
  async stop(): Promise<void> {
    this.isOver = true;
    this.timer?.cancel();
    for (const { runner } of this.places.values()) runner.commands.stop('rsapp ends; the application goes on');
    await Promise.all([...this.places.values()].flatMap(({ looking }) => looking ?? []));
  }

  get views(): ApplicationView[] {
    return [...this.places.values()].map(({ runner }) => runner.view);
  }

  get figures(): (ApplicationView & AppFigures)[] {
    return [...this.places.values()].map(({ runner }) => ({ ...runner.view, ...runner.figures }));
  }

  get node(): string {
    return [...this.places.values()].map(({ runner }) => runner.node).find((node) => node !== '') ?? this.ports.nodename();
  }

  async order(name: string, order: AppOrder, to: string | null): Promise<ApplicationView> {
    const place = this.places.get(name);
    if (place === undefined)
      throw new RsError('E_USAGE', `There is no application ${quoteText(name)}: known are ${[...this.places.keys()].join(', ') || 'none'}`);
    place.runner.news.ordered(to === null ? order : `${order} to ${to}`);
    await this.untilLooked(name, place);
    const { refusal } = place.runner;
    if (refusal !== null) throw new RsError(refusal.code, refusal.message);
    await place.runner.commands.give(order, to);
    return place.runner.view;
  }

  /** Waits for the first look at an application. Throws if its section changes meanwhile, because then no look follows. */
  private async untilLooked(name: string, place: Place): Promise<void> {
    const { clock } = this.ports;
    const endMs = clock.monotonicMs() + COMMAND_WAIT_MS;
    while (!place.hasLooked && !this.isOver) {
      if (this.places.get(name) !== place)
        throw new RsError('E_USAGE', `The section of ${name} in rscltcfg has changed: give the order again`);
      if (clock.monotonicMs() >= endMs)
        throw new RsError('E_TIMEOUT', `This machine did not say what of ${name} is here: see the log of rsapp`);
      await sleep(clock, APPLICATION_LOOK_MS);
    }
  }

  async drain(isDrained: boolean): Promise<void> {
    await this.ports.setDrained(isDrained);
    this.ports.log.info(isDrained ? 'This node is drained' : 'The drain of this node has ended');
    const goesOn = (): boolean => isDrained && !this.isOver && this.ports.isDrained();
    const left = await this.untilEmpty(this.ports.clock.monotonicMs() + COMMAND_WAIT_MS, goesOn);
    if (left !== null) throw new RsError('E_TIMEOUT', stillHere(left.view, 'this node stays drained, and rsapp goes on trying'));
  }

  /** Waits until no application is here. Returns one that is still here at the end. */
  private async untilEmpty(endMs: number, goesOn: () => boolean): Promise<AppRunner | null> {
    const { clock } = this.ports;
    for (;;) {
      const left = [...this.places.values()].find(({ runner, looking }) => runner.isHere || (this.isLeaving && looking !== null));
      if (left === undefined || !goesOn()) return null;
      if (clock.monotonicMs() >= endMs) return left.runner;
      await sleep(clock, APPLICATION_LOOK_MS);
    }
  }

  /** Returns a sentence for each change. Throws E_IN_USE if an application that runs here would change. */
  follow(apps: readonly ApplicationConfig[]): string[] {
    const next = new Map(apps.map((app) => [app.name, app]));
    const same = (app: ApplicationConfig): boolean => isDeepStrictEqual({ ...next.get(app.name), line: 0 }, { ...app, line: 0 });
    const touched = [...this.places.values()].filter(({ runner }) => !same(runner.app));
    const busy = touched.find(({ runner, looking }) => runner.isHere || looking !== null);
    if (busy !== undefined) {
      const { name } = busy.runner.app;
      throw new RsError(
        'E_IN_USE',
        `Application ${name} is on this node, so that its section stays: rsconfig app stop ${name}, or try again`,
      );
    }
    const applied = touched.map(({ runner }) => {
      const { name } = runner.app;
      runner.commands.stop('Its section in rscltcfg has changed: give the order again');
      this.places.delete(name);
      return next.has(name) ? `Application ${name} has changed` : `Application ${name} was removed`;
    });
    for (const app of apps) {
      if (this.places.has(app.name)) continue;
      if (!touched.some(({ runner }) => runner.app.name === app.name)) applied.push(`Application ${app.name} was added`);
      this.add(app);
    }
    return applied;
  }

  private add(app: ApplicationConfig): void {
    const { ports } = this;
    const isDrained = (): boolean => this.isLeaving || ports.isDrained();
    const runnerPorts = { clock: ports.clock, log: ports.log, sight: ports.sight, tell: (change: Change) => ports.tell(change), isDrained };
    this.places.set(app.name, { runner: new AppRunner(app, ports.machineOf(app), runnerPorts), looking: null, hasLooked: false });
  }

  private async tick(): Promise<void> {
    // The idle places are chosen before rsiod is asked, because an order that ends meanwhile makes the answer out of date.
    const idle = [...this.places.values()].filter(({ looking }) => looking === null);
    const volumes = await this.volumes();
    for (const place of idle) {
      if (this.isOver || this.isPaused || this.places.get(place.runner.app.name) !== place) continue;
      place.looking = place.runner
        .look(volumes)
        .catch((thrown: unknown) => this.ports.log.error(`${place.runner.app.name}: ${toRsError(thrown).message}`))
        .finally(() => Object.assign(place, { looking: null, hasLooked: true }));
    }
    this.lookAtDrain();
    if (!this.isOver) this.timer = this.ports.clock.after(APPLICATION_LOOK_MS, () => void this.tick());
  }

  /** The state at the first look is not an event. */
  private lookAtDrain(): void {
    const before = this.drainState;
    const isHere = [...this.places.values()].some(({ runner }) => runner.isHere);
    this.drainState = !this.ports.isDrained() ? 'active' : isHere ? 'draining' : 'drained';
    const { drainState: to } = this;
    if (before !== null && before !== to) this.ports.tell({ object: `node ${this.node}`, from: before, to, reason: '' });
  }

  private async volumes(): Promise<Volumes | null> {
    try {
      const volumes = this.places.size === 0 ? null : await this.ports.sight.volumes();
      this.lastTrouble = '';
      return volumes;
    } catch (thrown) {
      const { message } = toRsError(thrown);
      if (message !== this.lastTrouble) this.ports.log.warn(`rsiod does not answer: ${message}`);
      this.lastTrouble = message;
      return null;
    }
  }
}

function stillHere({ name, why }: ApplicationView, what: string): string {
  return `${name} is still here${why === '' ? '' : ` (${why})`}: ${what}`;
}
