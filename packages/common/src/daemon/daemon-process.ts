// Starts and stops rssrv and rsiod: in the foreground, or as a detached child that reports to the terminal from which it was started. A pid
// file ensures that there is one daemon per root. Signals are turned into hook calls. Arguments, logs and the actual work are the program's
// job. Invariant: the shell prompt returns only when the daemon is ready, or when it has reported why it failed and has exited.

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { BACKGROUND_VARIABLE, STARTER_FD, type StartMessage, startInBackground } from './background-start.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { RsError, toRsError } from '../lib/errors.ts';
import { acquirePidFile } from './pid-file.ts';

/** What a program's `main` can do with the process in which it runs. */
export interface Daemon {
  /** Pid of the pid file's previous owner if it died in this boot without releasing the file; else null. */
  readonly leftBy: number | null;
  /** Reports that the daemon is ready, so that the shell prompt returns. Further calls do nothing. */
  ready(): void;
  /** Writes a sentence to the caller's terminal. After `ready`, a daemon in the background has no terminal and must use the log. */
  warn(sentence: string): void;
  /**
   * Sets the hook that is called on each SIGTERM or SIGINT. If a signal has already arrived, the hook is called at once. In the background,
   * the hook is also called if the starting process exits before the daemon is ready.
   */
  onStop(hook: (reason: string) => void): void;
  /** Sets the hook that is called on each later SIGHUP. */
  onReload(hook: () => void): void;
}

export interface DaemonOptions {
  /** Name of the program for error messages. */
  readonly program: string;
  readonly foreground: boolean;
  readonly pidFile: string;
  /** Writes one line to the caller's terminal. */
  readonly note: (sentence: string) => void;
  /** The keeper, a parent process that can restart the daemon; null if the daemon has no keeper. */
  readonly keeper?: DaemonKeeper | null;
  /** Its promise settles when the daemon has finished. If it rejects before `ready`, the caller's terminal shows the error. */
  readonly main: (daemon: Daemon) => Promise<void>;
}

export interface DaemonKeeper {
  /** Number, from 1, of this process among the keeper's children; 0 if there is no keeper yet. */
  readonly childNumber: number;
  /**
   * Returns the command that runs `command` below a keeper. The keeper's first child receives the descriptor `starterFd`, unless it is
   * null. If `isBound` is true, the keeper exits when this process exits.
   */
  wrap(command: readonly string[], starterFd: number | null, isBound: boolean): string[];
}

/**
 * Runs `main` in this process (in the foreground, or if this is the background child), or starts this program in the background with the
 * same arguments. Paths must be absolute, because the working directory of the child is `/`. Resolves when `main` has finished or the child
 * is ready. Rejects with E_ALREADY_RUNNING, E_RIGHTS, E_TIMEOUT, or the error from `main`.
 */
export async function startDaemon(options: DaemonOptions, clock: Clock = systemClock): Promise<void> {
  const { program, note, foreground, keeper = null } = options;
  const starter = { warn: note, ready: () => {} };
  if (!foreground && process.env[BACKGROUND_VARIABLE] !== undefined && process.send !== undefined) return runAsChild(options);
  // A daemon restarted by its keeper has no terminal to report to, so it runs in this process, like a daemon in the foreground.
  if ((keeper?.childNumber ?? 0) > 0 || (foreground && keeper === null)) return runHere(options, starter, new SignalHooks());
  const [node = '', script = ''] = process.argv;
  const command = [node, ...process.execArgv, script, ...process.argv.slice(2)];
  if (foreground) return runBelow(program, keeper?.wrap(command, null, true) ?? command);
  return startInBackground({ program, note, command: keeper?.wrap(command, STARTER_FD, false) ?? command }, clock);
}

/** Runs the daemon below a keeper in the foreground. Passes signals on to the keeper, and returns or exits when the keeper exits. */
async function runBelow(program: string, command: readonly string[]): Promise<void> {
  const [first = '', ...rest] = command;
  const child = spawn(first, rest, { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, pass);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((ended, failed) => {
    child.on('error', (error) =>
      failed(new RsError('E_SYSTEM', `${program} could not be started (${error.message}): check memory and process limits`)),
    );
    child.on('close', (...how) => ended(how));
  });
  for (const one of signals) process.off(one, pass);
  // The child has reported its own error.
  if (code !== 0) process.exit(code ?? (signal === 'SIGKILL' ? 137 : 1));
}

interface Starter {
  warn(sentence: string): void;
  ready(): void;
}

async function runAsChild(options: DaemonOptions): Promise<void> {
  delete process.env[BACKGROUND_VARIABLE];
  const pidFile = resolve(options.pidFile);
  process.chdir('/');
  let isHeard = true;
  const send = (message: StartMessage, then?: () => void) => {
    // If the starting process has exited, the `disconnect` event has already asked the daemon to stop.
    if (isHeard && process.connected) process.send?.(message, undefined, undefined, () => then?.());
    else then?.();
  };
  const fail = (thrown: unknown, then?: () => void) => {
    const { code, message } = toRsError(thrown);
    send({ type: 'failed', code, message }, then);
  };
  const hooks = new SignalHooks();
  const onUncaught = (thrown: unknown) => fail(thrown);
  const onStarterGone = () => hooks.stopFor('its starter went away');
  // An exception outside `main` terminates the process and does not reach the catch below.
  process.on('uncaughtExceptionMonitor', onUncaught);
  process.on('disconnect', onStarterGone);
  const leave = () => {
    isHeard = false;
    process.off('uncaughtExceptionMonitor', onUncaught);
    process.off('disconnect', onStarterGone);
    if (process.connected) process.disconnect();
  };
  const starter: Starter = {
    warn: (text) => send({ type: 'warning', text }),
    ready: () => {
      process.off('disconnect', onStarterGone);
      send({ type: 'ready' }, leave);
    },
  };
  try {
    await runHere({ ...options, pidFile }, starter, hooks);
  } catch (thrown) {
    await new Promise<void>((sent) => fail(thrown, sent));
    throw thrown;
  } finally {
    leave();
  }
}

async function runHere(options: DaemonOptions, starter: Starter, hooks: SignalHooks): Promise<void> {
  const life = options.keeper?.childNumber ?? 0;
  const isKept = life > 0;
  const pidFile = acquirePidFile(resolve(options.pidFile), options.program, isKept ? process.ppid : process.pid);
  const atExit = () => pidFile.release();
  // If there is a keeper, it owns the pid file until the keeper exits.
  if (!isKept) process.on('exit', atExit);
  let isReady = false;
  const daemon: Daemon = {
    leftBy: pidFile.leftBy,
    ready: () => {
      if (!isReady) starter.ready();
      isReady = true;
    },
    warn: (sentence) => starter.warn(sentence),
    onStop: (hook) => hooks.onStop(hook),
    onReload: (hook) => hooks.onReload(hook),
  };
  hooks.listen();
  try {
    await options.main(daemon);
    pidFile.release();
  } finally {
    hooks.close();
    process.off('exit', atExit);
    if (!isKept || (life === 1 && !isReady)) pidFile.release();
  }
}

/** Turns signals into hook calls. If a request to stop arrives before the stop hook is set, the request is stored until then. */
class SignalHooks {
  private stopReason: string | undefined;
  private stop: ((reason: string) => void) | undefined;
  private reload: (() => void) | undefined;
  private readonly onSignal = (signal: NodeJS.Signals): void => this.stopFor(signal);
  private readonly onHangUp = (): void => this.reload?.();

  listen(): void {
    process.on('SIGTERM', this.onSignal);
    process.on('SIGINT', this.onSignal);
    process.on('SIGHUP', this.onHangUp);
  }

  onStop(hook: (reason: string) => void): void {
    this.stop = hook;
    if (this.stopReason !== undefined) hook(this.stopReason);
  }

  onReload(hook: () => void): void {
    this.reload = hook;
  }

  close(): void {
    process.off('SIGTERM', this.onSignal);
    process.off('SIGINT', this.onSignal);
    process.off('SIGHUP', this.onHangUp);
  }

  stopFor(reason: string): void {
    this.stopReason = reason;
    this.stop?.(reason);
  }
}
