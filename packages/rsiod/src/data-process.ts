// Entry point of a data process of rsiod, one of several processes with sessions, volumes and frontends (the key `processes` of rscltcfg).
// The main process starts the data process, and sends it a configuration, an identity and requests (processes/). Invariant: the data
// process does nothing before it has its identity, and exits when the main process exits.

import './limits.ts';

import type { Socket } from 'node:net';
import { nameProcess } from '@rsio/base/daemon/process-facts';
import { rsiodPaths } from '@rsio/common/config/root-paths';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { isSamePlace, openLog } from '@rsio/base/log/log';
import { ClientDaemon } from './daemon/daemon.ts';
import { NO_GATES } from './frontends/gate-frontends.ts';
import { MainChannel } from './processes/main-channel.ts';
import { lossObstacles } from './daemon/reloader.ts';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { TAKES } from './control/control-handlers.ts';
import type { AttachOrder } from './processes/data-processes.ts';
import { type Begin, type Ending, OWN_METHODS, type ToProcess } from './processes/messages.ts';

function begin(first: Begin): void {
  const { config, identity, node, root, log: way } = first;
  nameProcess(`rsiod: data ${identity.dataProcess}`);
  const log = openLog({ ...way, node, level: config.logLevel });
  const channel = new MainChannel(first, (message) => void process.send?.(message, () => undefined));
  const warn = (sentence: string): void => {
    log.warn(sentence);
    channel.warn(sentence);
  };
  const leave = (): void => {
    log.close();
    // The answer to the request must be sent before this process exits.
    setImmediate(() => process.exit(0));
  };
  const daemon = new ClientDaemon({
    config,
    identity,
    log,
    warn,
    clock: systemClock,
    paths: rsiodPaths(root),
    beganMs: Math.floor(systemClock.wallMs() - systemClock.monotonicMs()),
    store: null,
    // A main process of an earlier release names no level.
    relog: ({ logLevel }: Partial<RscltConfig>) => log.setLevel(logLevel ?? 'info'),
    keeper: null,
    keeperLack: null,
    restart: () => Promise.resolve(),
    stop: () => undefined,
    newGates: NO_GATES,
    processes: null,
    part: { channel, processes: first.processes, origins: first.origins },
  });
  const { handlers, ends, reloads, attached, namespaces, nbd, figures } = daemon.parts;
  const user = {
    handlers,
    ownMethods: {
      // A main process of an earlier release asks only before it stops, and names no ending.
      [OWN_METHODS.refusal]: async ({ ending = 'stop' }: { ending?: Ending }) => ({ reason: await ends.refusal(ending) }),
      [OWN_METHODS.attach]: async ({ names, readOnly, server, take, by, owner }: AttachOrder & { names: readonly string[] }) => {
        await handlers.query({ refresh: true });
        if (owner.kind === 'lasting') return { outcomes: await attached.attach(names, readOnly, server, TAKES[take], by, owner) };
        const attachFor = (name: string): Promise<AttachOutcome> => attached.attachFor(owner, name, readOnly, server);
        return { outcomes: await Promise.all(names.map(attachFor)) };
      },
      [OWN_METHODS.endOrder]: async ({ ticket, isGone }: { ticket: string; isGone: boolean }) => {
        await attached.endOrder(ticket, isGone);
        return {};
      },
      [OWN_METHODS.figures]: figures,
      [OWN_METHODS.obstacles]: ({ config: next }: { config: Begin['config'] }) => ({
        obstacles: lossObstacles(namespaces.lostBy(next)),
      }),
      [OWN_METHODS.end]: async ({ reason }: { reason: string }) => {
        await daemon.stop(reason);
        leave();
        return {};
      },
      [OWN_METHODS.handOver]: async () => {
        await daemon.handOver();
        leave();
        return {};
      },
    },
    // A daemon that is starting keeps its first configuration.
    configure: ({ config: next }: { config: Begin['config'] }) => void started.then(() => reloads.take(next)),
    adopt: (socket: Socket | undefined, passed: unknown, ended: () => void) => nbd.adopt(socket, passed, ended),
    logTo: ({ way: next }: { way: Begin['log'] }) => (isSamePlace(next, log.way) ? log.reopen() : log.redirect(next)),
  };
  const started = daemon.start();
  process.on('message', (message, socket) => channel.receive(message as ToProcess, socket as Socket | undefined, user));
  started.then(
    () => channel.ready(),
    (thrown: unknown) => {
      log.error(`Data process ${identity.dataProcess} ends: ${toRsError(thrown).message}`);
      log.flushSync();
      process.exit(1);
    },
  );
}

// Signals are for the main process, which ends its data processes in order. A signal to the whole process group must not end a data process
// earlier.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.once('disconnect', () => process.exit(1));
process.once('message', (message) => begin(message as Begin));
